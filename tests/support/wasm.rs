//! Files that look like connectors and are none.

use jackfield::model::MANIFEST_SECTION;

/// The eight bytes with which a core module begins, and nothing after them.
pub const EMPTY_MODULE: [u8; 8] = *b"\0asm\x01\0\0\0";

const MEMORY: u8 = 5;
const START: u8 = 8;
const CODE: u8 = 10;

/// A connector whose memory is 4 GiB from the start.
///
/// # Panics
/// The bytes are no core module.
pub fn with_four_gib(connector: &[u8]) -> Vec<u8> {
    // One memory, no maximum, 65,536 pages.
    let section = [&[1, 0][..], &number(65_536)].concat();
    let mut sections = sections(connector);
    let memory = sections.iter_mut().find(|(id, _)| *id == MEMORY);
    memory.expect("a connector has a memory").1 = section;
    module(&sections)
}

/// A connector that never ends to start: a function that loops for ever, and a start section that
/// names it.
///
/// # Panics
/// The bytes are no core module.
pub fn with_endless_start(connector: &[u8]) -> Vec<u8> {
    const TYPE: u8 = 1;
    const IMPORT: u8 = 2;
    const FUNCTION: u8 = 3;
    let mut sections = sections(connector);
    let get = |sections: &[(u8, Vec<u8>)], wanted: u8| {
        let found = sections.iter().find(|(id, _)| *id == wanted);
        found.map(|(_, body)| body.clone()).unwrap_or_default()
    };
    let imported = imported_functions(&get(&sections, IMPORT));
    // () -> (): no parameters, no results.
    let (types, body) = append(&get(&sections, TYPE), &[0x60, 0, 0]);
    put(&mut sections, TYPE, body);
    let (functions, body) = append(&get(&sections, FUNCTION), &number(types));
    put(&mut sections, FUNCTION, body);
    // No locals; loop; branch to its head; end; end.
    let endless = [0, 0x03, 0x40, 0x0c, 0, 0x0b, 0x0b];
    let code = [&number(endless.len() as u64)[..], &endless].concat();
    let (_, body) = append(&get(&sections, CODE), &code);
    put(&mut sections, CODE, body);
    let start = number(imported + functions);
    sections.retain(|(id, _)| *id != START);
    // After the exports (7), before the elements (9) and whatever follows them.
    let at = sections
        .iter()
        .position(|(id, _)| *id > START)
        .expect("there is code");
    sections.insert(at, (START, start));
    module(&sections)
}

/// A connector with a function of so many values that live at the same time: a small file, and
/// minutes of work for who assigns registers.
///
/// # Panics
/// The bytes are no core module.
pub fn with_bomb(connector: &[u8], values: u64) -> Vec<u8> {
    const TYPE: u8 = 1;
    const FUNCTION: u8 = 3;
    const ADD: u8 = 0x7c;
    const MULTIPLY: u8 = 0x7e;
    let get = |local: u64| [&[0x20], &number(local)[..]].concat();
    let set = |local: u64| [&[0x21], &number(local)[..]].concat();
    // One group of locals, i64 (0x7e), after the parameter. None is known before it runs, and all
    // are needed for the result: else there would be nothing to compile.
    let mut body = [&[1], &number(values)[..], &[0x7e]].concat();
    for local in 1..=values {
        let constant = [&[0x42], &number(local)[..]].concat();
        let product = [get(local - 1), get(0), constant, vec![ADD, MULTIPLY]].concat();
        body.extend([product, set(local)].concat());
    }
    for round in 0..20 {
        for local in 1..=values {
            let other = (local * 7 + round * 13) % values + 1;
            body.extend([get(local), get(other), vec![ADD], set(local)].concat());
        }
    }
    body.extend(get(1));
    body.push(0x0b);
    let code = [&number(body.len() as u64)[..], &body].concat();
    let mut sections = sections(connector);
    let mut add = |section: u8, entry: &[u8]| {
        let place = sections.iter_mut().find(|(id, _)| *id == section);
        let (_, content) = place.expect("a connector has this section");
        let (count, appended) = append(content, entry);
        *content = appended;
        count
    };
    // (i64) -> (i64)
    let function_type = add(TYPE, &[0x60, 1, 0x7e, 1, 0x7e]);
    add(FUNCTION, &number(function_type));
    add(CODE, &code);
    module(&sections)
}

/// A connector with another manifest.
///
/// # Panics
/// The bytes are no core module with a manifest.
pub fn with_manifest(connector: &[u8], edit: impl FnOnce(&str) -> String) -> Vec<u8> {
    const CUSTOM: u8 = 0;
    let name = MANIFEST_SECTION.as_bytes();
    let head = [&number(name.len() as u64)[..], name].concat();
    let mut sections = sections(connector);
    let manifest = sections
        .iter_mut()
        .find(|(id, body)| *id == CUSTOM && body.starts_with(&head))
        .map(|(_, body)| body)
        .expect("a connector has a manifest");
    let text = manifest.split_off(head.len());
    let text = std::str::from_utf8(&text).expect("a manifest is text");
    manifest.extend(edit(text).into_bytes());
    module(&sections)
}

/// A connector whose code crashes wherever it is called, though it starts.
///
/// # Panics
/// The bytes are no core module.
pub fn with_crashes(connector: &[u8]) -> Vec<u8> {
    const IMPORT: u8 = 2;
    const EXPORT: u8 = 7;
    let mut sections = sections(connector);
    let get = |wanted: u8| {
        let found = sections.iter().find(|(id, _)| *id == wanted);
        found.map(|(_, body)| body.clone()).unwrap_or_default()
    };
    let imported = imported_functions(&get(IMPORT));
    let exports = get(EXPORT);
    let mut at = 0;
    let mut crashing = Vec::new();
    for _ in 0..read_number(&exports, &mut at) {
        let length = usize::try_from(read_number(&exports, &mut at)).expect("a name is short");
        let name = exports.get(at..at + length).expect("a name ends");
        let is_call = name.starts_with(b"jackfield:connector/connector");
        at += length;
        let kind = *exports.get(at).expect("an export has a kind");
        at += 1;
        let index = read_number(&exports, &mut at);
        if kind == 0 && is_call {
            crashing.push(index - imported);
        }
    }
    assert!(!crashing.is_empty(), "a connector exports functions");
    let code = get(CODE);
    let mut at = 0;
    let count = read_number(&code, &mut at);
    let mut body = number(count);
    for index in 0..count {
        let length = read_number(&code, &mut at);
        let end = at + usize::try_from(length).expect("a function fits into memory");
        let function = code.get(at..end).expect("a function ends");
        // No locals; unreachable; end.
        let crash: &[u8] = &[0, 0x00, 0x0b];
        let function = if crashing.contains(&index) {
            crash
        } else {
            function
        };
        body.extend(number(function.len() as u64));
        body.extend(function);
        at = end;
    }
    put(&mut sections, CODE, body);
    module(&sections)
}

fn put(sections: &mut [(u8, Vec<u8>)], id: u8, body: Vec<u8>) {
    let section = sections.iter_mut().find(|(other, _)| *other == id);
    section.expect("a connector has this section").1 = body;
}

/// Adds an entry to a vector; gives how many there were before.
fn append(vector: &[u8], entry: &[u8]) -> (u64, Vec<u8>) {
    let mut at = 0;
    let count = read_number(vector, &mut at);
    let entries = vector.get(at..).expect("the count is within the section");
    (count, [&number(count + 1)[..], entries, entry].concat())
}

/// How many functions an import section has; a connector imports nothing else.
fn imported_functions(section: &[u8]) -> u64 {
    if section.is_empty() {
        return 0;
    }
    read_number(section, &mut 0)
}

fn sections(module: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut sections = Vec::new();
    let mut at = EMPTY_MODULE.len();
    while let Some(id) = module.get(at) {
        at += 1;
        let length =
            usize::try_from(read_number(module, &mut at)).expect("a section fits into memory");
        let body = module
            .get(at..at + length)
            .expect("a section ends within the module");
        sections.push((*id, body.to_vec()));
        at += length;
    }
    sections
}

fn module(sections: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = EMPTY_MODULE.to_vec();
    for (id, body) in sections {
        bytes.push(*id);
        bytes.extend(number(body.len() as u64));
        bytes.extend(body);
    }
    bytes
}

/// Unsigned LEB128.
fn number(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (value & 0x7f) as u8;
        value >>= 7;
        bytes.push(if value == 0 { low } else { low | 0x80 });
        if value == 0 {
            return bytes;
        }
    }
}

fn read_number(bytes: &[u8], at: &mut usize) -> u64 {
    let (mut value, mut shift) = (0, 0);
    loop {
        let byte = *bytes.get(*at).expect("a number ends within the module");
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return value;
        }
    }
}
