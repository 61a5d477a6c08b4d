//! Passwords: what may be one, and how they are kept.

use std::{fmt, sync::Arc, time::Duration};

use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout};

use super::Error;
use crate::model::{EmailAddress, Entropy};

/// Argon2id with 19 MiB of memory, two passes and one lane: what OWASP's Password Storage Cheat
/// Sheet asks for at least.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Passwords that are hashed at the same time. Each takes a core and the memory above: more at
/// once would be a way to bring the server down with a handful of requests.
const AT_ONCE: usize = 2;
/// How long somebody waits for a turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Characters at least.
pub(super) const SHORTEST: usize = 12;
/// Bytes at most: what is longer was not typed by a person.
const LONGEST: usize = 1024;
/// Different characters at least.
const VARIETY: usize = 5;

/// A hash like any other, of no password that anybody has. Whoever types an unknown e-mail address
/// waits for this one, so that time does not tell who has an account.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3Mgc2FsdC4uLg$AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";

/// Hashes passwords, few at a time.
#[derive(Clone)]
pub(super) struct Passwords(Arc<Semaphore>);

impl Default for Passwords {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Passwords").finish_non_exhaustive()
    }
}

impl Passwords {
    /// The hash of a password that may be one, in PHC form.
    ///
    /// # Errors
    /// [`Error::Password`] with the rule that it breaks; [`Error::Busy`].
    pub(super) async fn hash(
        &self,
        password: &SecretString,
        email: &EmailAddress,
        entropy: &dyn Entropy,
    ) -> Result<String, Error> {
        check(password.expose_secret(), email)?;
        let mut salt = [0; 16];
        entropy.fill(&mut salt);
        let password = password.clone();
        let hashed = self.in_turn(move || {
            let hash =
                hasher()?.hash_password_with_salt(password.expose_secret().as_bytes(), &salt);
            hash.ok().map(|hash: PasswordHash| hash.to_string())
        });
        hashed.await?.ok_or(Error::Busy)
    }

    /// Whether the password is the one of the hash. Without a hash it is not, which takes as long
    /// to find out.
    ///
    /// # Errors
    /// [`Error::Busy`].
    pub(super) async fn verify(
        &self,
        password: &SecretString,
        hash: Option<String>,
    ) -> Result<bool, Error> {
        let password = password.clone();
        if password.expose_secret().len() > LONGEST {
            return Ok(false);
        }
        self.in_turn(move || {
            let known = hash.is_some();
            let hash = hash.as_deref().unwrap_or(NOBODY);
            let Ok(hash) = PasswordHash::new(hash) else {
                return false;
            };
            let password = password.expose_secret().as_bytes();
            // Memory and passes are the hash's own: better ones of a later version open it too.
            Argon2::default().verify_password(password, &hash).is_ok() && known
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let turn = timeout(PATIENCE, Arc::clone(&self.0).acquire_owned()).await;
        let Ok(Ok(turn)) = turn else {
            return Err(Error::Busy);
        };
        let done = spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|_| Error::Busy)
    }
}

fn hasher() -> Option<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).ok()?;
    Some(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Length is what counts; the other rules are against what is guessed first.
fn check(password: &str, email: &EmailAddress) -> Result<(), Error> {
    let rule = |broken: bool, text| {
        if broken {
            Err(Error::Password(text))
        } else {
            Ok(())
        }
    };
    rule(
        password.chars().count() < SHORTEST,
        "the password needs at least 12 characters; a sentence is easy to remember",
    )?;
    rule(
        password.len() > LONGEST,
        "the password may have at most 1024 bytes",
    )?;
    rule(
        password.trim().to_lowercase() == email.as_str(),
        "the password must not be the e-mail address",
    )?;
    let mut different: Vec<char> = password.chars().collect();
    different.sort_unstable();
    different.dedup();
    rule(
        different.len() < VARIETY,
        "the password needs at least 5 different characters",
    )
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::model::SystemEntropy;

    fn email() -> EmailAddress {
        "ada.lovelace@example.com".parse().unwrap()
    }

    #[tokio::test]
    async fn a_password_opens_its_own_hash() {
        let passwords = Passwords::default();
        let secret = SecretString::from("correct horse battery");
        let hash = passwords
            .hash(&secret, &email(), &SystemEntropy)
            .await
            .unwrap();
        assert!(
            hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{hash}"
        );
        assert!(passwords.verify(&secret, Some(hash.clone())).await.unwrap());
        let other = SecretString::from("correct horse batterz");
        assert!(!passwords.verify(&other, Some(hash)).await.unwrap());
        assert!(!passwords.verify(&secret, None).await.unwrap());
        let long = SecretString::from("x".repeat(2000));
        assert!(!passwords.verify(&long, None).await.unwrap());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_passwords_are_hashed_at_a_time() {
        let passwords = Passwords::default();
        // Each waits for another one, so that there are two for certain.
        let pair = Arc::new(std::sync::Barrier::new(AT_ONCE));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..3 * AT_ONCE {
            let (pair, now, most) = (Arc::clone(&pair), Arc::clone(&now), Arc::clone(&most));
            let passwords = passwords.clone();
            tasks.push(tokio::spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    pair.wait();
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                passwords.in_turn(work).await.unwrap();
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE);
    }

    #[test]
    fn nobodys_hash_costs_what_others_cost() {
        let nobody = PasswordHash::new(NOBODY).unwrap();
        let salt = nobody.salt.expect("it has a salt");
        let hash: PasswordHash = hasher()
            .unwrap()
            .hash_password_with_salt(b"any", &salt)
            .unwrap();
        assert_eq!(hash.params.to_string(), nobody.params.to_string());
        assert_eq!(hash.algorithm, nobody.algorithm);
    }

    #[test]
    fn each_rule_has_its_sentence() {
        for (password, part) in [
            ("short", "12 characters"),
            ("Ada.Lovelace@example.com", "e-mail"),
            ("abababababababab", "different"),
            (&*"long enough ".repeat(200), "1024"),
        ] {
            let error = check(password, &email()).unwrap_err().to_string();
            assert!(error.contains(part), "{password}: {error}");
        }
        assert!(check("correct horse", &email()).is_ok());
    }
}
