# Short names for the commands of this repository; `just` lists them.
default:
    @just --list --unsorted

# Start everything to try it or to work on it
dev *arguments:
    cargo run --release -- dev {{arguments}}

# Format, lint and check the shape of the repository; seconds when little changed
check:
    cargo fmt --all
    cargo clippy --workspace --all-targets --locked -- -D warnings
    cargo test --locked -p jackfield --test tidy

# Everything that CI checks
verify:
    .ci/run

# All tests, or those that the arguments of `cargo test` choose
test *arguments:
    tests/run {{arguments}}

# The end-to-end tests whose names contain a text
e2e name='':
    tests/run -p jackfield-tests --test e2e -- {{name}}

# Throw generated requests at every operation, on both databases; the more cases, the longer
schemathesis cases='200':
    JACKFIELD_TEST_CASES={{cases}} tests/run -p jackfield-tests --test e2e -- schemathesis --nocapture

# Kill the server so many times, at random and at every named place, and print what became of it
faults kills='200':
    JACKFIELD_TEST_KILLS={{kills}} tests/run -p jackfield-tests --test faults -- --nocapture

# Replace a connector so many times (an even number) while requests go on, and see that memory does not grow
swaps count='1000':
    JACKFIELD_TEST_SWAPS={{count}} tests/run -p jackfield-tests --test e2e -- hot_reload --nocapture

# Let both sides of a two-way sync change in ever other orders: the more cases, the longer
conflicts cases='1000000':
    PROPTEST_CASES={{cases}} cargo test --locked -p jackfield --lib -- pending --nocapture

# Throw bytes at one target of tests/fuzz for so long with libFuzzer (once: `cargo install cargo-fuzz`)
fuzz target seconds='3600':
    cargo +nightly fuzz run --fuzz-dir tests/fuzz --features libfuzzer --sanitizer none {{target}} -- -max_total_time={{seconds}} -rss_limit_mb=4096

# Throw so many changed copies of the corpus at every target of tests/fuzz, without libFuzzer
mutate copies='1000000':
    JACKFIELD_TEST_COPIES={{copies}} cargo test --locked -p jackfield-fuzz --test short

# Build every connector for WebAssembly into target/wasm32-unknown-unknown/connector
plugins:
    cargo build --locked --target wasm32-unknown-unknown --profile connector {{ `for folder in plugins/*/ tests/fixtures/*/; do printf -- '-p %s ' "$(basename "$folder")"; done` }}

# Test one connector natively, in a second
plugin name:
    cargo test --locked -p {{name}}

# Write the manifest of the test connector that serves every object anew, after a schema changed
omni:
    JACKFIELD_WRITE_MANIFEST=1 cargo test --locked -p fake-omni

# Measure against a limit of the same run: unify, call, list, sync, webhooks, start, pages or sandbox
bench name *arguments:
    cargo run --locked --release -p jackfield-bench -- {{name}} {{arguments}}

# Start a connector of your own
new-connector name:
    cargo run --release -- connector new {{name}}

# Open the documentation of the code
docs:
    cargo doc --workspace --no-deps --open
