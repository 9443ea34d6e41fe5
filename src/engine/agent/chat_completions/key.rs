//! Where the provider's key is: in a variable, else in a file that only its owner may read, else where a
//! command of the operator's has it.
//!
//! Everybody asks here (the backend, `doctor`, the redactor), so that what is sent is what is hidden.

mod command;

use std::fmt;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use secrecy::SecretString;

use crate::model::error::{Code, Failure, Result};
use crate::model::settings::OpenAiSettings;

/// The longest key file that is read, in bytes.
const FILE_BYTES: u64 = 64 * 1024;

/// Where the key is looked for.
pub enum KeySource<'a> {
    /// In this variable, which is set.
    Variable(&'a str),
    /// In this file.
    File(&'a str),
    /// In what this command prints.
    Command(&'a [String]),
    /// In this variable, which is not set.
    Missing(&'a str),
    /// Nowhere: the server needs none.
    Nowhere,
}

impl fmt::Display for KeySource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => write!(f, "{name} is set"),
            Self::File(path) => write!(f, "the key is in {path}"),
            Self::Command(command) => write!(
                f,
                "the key is printed by '{}'",
                command.first().map_or("", String::as_str)
            ),
            Self::Missing(name) => write!(f, "{name} is not set"),
            Self::Nowhere => f.write_str("no key is sent (openai.key_env is empty)"),
        }
    }
}

/// The one place that counts: the variable, else the file, else the command.
#[must_use]
pub fn place(settings: &OpenAiSettings) -> KeySource<'_> {
    let (variable, file, command) = (&settings.key_env, &settings.key_file, &settings.key_command);
    match () {
        () if of_variable(variable).is_some() => KeySource::Variable(variable),
        () if !file.is_empty() => KeySource::File(file),
        () if !command.is_empty() => KeySource::Command(command),
        () if variable.is_empty() => KeySource::Nowhere,
        () => KeySource::Missing(variable),
    }
}

fn of_variable(name: &str) -> Option<SecretString> {
    let set = std::env::var(name).ok().filter(|_| !name.is_empty())?;
    Some(set.trim())
        .filter(|key| !key.is_empty())
        .map(SecretString::from)
}

/// The key; absent for a server that needs none, which is what an empty `key_env` without a file says.
///
/// # Errors
/// `backend_unavailable` when there should be a key and is none, or its file may be read by others.
pub fn key(settings: &OpenAiSettings) -> Result<Option<SecretString>> {
    match place(settings) {
        KeySource::Variable(name) => Ok(of_variable(name)),
        KeySource::File(path) => of_file(Path::new(path)).map(Some),
        KeySource::Command(command) => command::printed_by(command).map(Some).map_err(|words| {
            missing(format!("'openai.key_command' {words}"))
                .hint("run the command yourself: it must print the key alone, within ten seconds")
        }),
        KeySource::Nowhere => Ok(None),
        KeySource::Missing(variable) => Err(missing(format!("{variable} is not set")).hint(format!(
            "set {variable} to the provider's key, 'openai.key_file' to a file that holds it, 'openai.key_command' to a command that \
             prints it, or 'openai.key_env' to \"\" for a server that needs none"
        ))),
    }
}

/// Has a command asked for the key anew by whoever asks next.
pub(super) fn forget(settings: &OpenAiSettings) {
    command::forget(&settings.key_command);
}

fn of_file(path: &Path) -> Result<SecretString> {
    let shown = path.display();
    let unreadable = |error: &std::io::Error| {
        missing(format!("the key file {shown} cannot be read: {error}"))
            .hint("set 'openai.key_file' to a file that holds the key")
    };
    let plain = path.is_absolute()
        && std::fs::symlink_metadata(path)
            .map_err(|error| unreadable(&error))?
            .is_file();
    if !plain {
        return Err(missing(format!(
            "the key file {shown} is no plain file named from the root"
        ))
        .hint("set 'openai.key_file' to the absolute path of a file, no link"));
    }
    let file = std::fs::File::open(path).map_err(|error| unreadable(&error))?;
    // Asked of what was opened: the name may stand for another file by now.
    let mode = file.metadata().map_err(|error| unreadable(&error))?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(missing(format!(
            "the key file {shown} may be read by others (its mode is {mode:04o})"
        ))
        .hint(format!(
            "make it yours alone: chmod 600 {shown}; if others may have read it, get a new key"
        )));
    }
    let mut key = String::new();
    file.take(FILE_BYTES)
        .read_to_string(&mut key)
        .map_err(|error| unreadable(&error))?;
    match key.trim() {
        "" => Err(missing(format!("the key file {shown} is empty"))
            .hint("put the provider's key into it")),
        key => Ok(SecretString::from(key.to_owned())),
    }
}

fn missing(words: String) -> Failure {
    Failure::new(
        Code::BackendUnavailable,
        format!("the backend 'openai' has no key: {words}"),
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use secrecy::ExposeSecret;

    use super::*;

    fn settings(file: &Path) -> OpenAiSettings {
        let key_file = file.to_string_lossy().into_owned();
        OpenAiSettings {
            key_env: "PHASEDECK_TEST_NO_SUCH_KEY".to_owned(),
            key_file,
            ..OpenAiSettings::default()
        }
    }

    #[test]
    fn a_key_file_counts_only_while_it_is_its_owners_alone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for (content, mode, said) in [
            ("a-secret-key\n", 0o600, Ok("a-secret-key")),
            ("a-secret-key", 0o400, Ok("a-secret-key")),
            (
                "a-secret-key",
                0o640,
                Err("may be read by others (its mode is 0640)"),
            ),
            (
                "a-secret-key",
                0o604,
                Err("may be read by others (its mode is 0604)"),
            ),
            (" \n", 0o600, Err("is empty")),
        ] {
            let _ = std::fs::remove_file(&file);
            std::fs::write(&file, content).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
            match (key(&settings(&file)), said) {
                (Ok(Some(key)), Ok(expected)) => assert_eq!(key.expose_secret(), expected),
                (Err(failure), Err(expected)) => {
                    assert!(
                        failure.message.contains(expected) && !failure.message.contains("secret"),
                        "{}",
                        failure.message
                    );
                    assert_eq!(failure.code, Code::BackendUnavailable);
                }
                (got, _) => panic!("{mode:o}: {got:?}"),
            }
        }
        let link = folder.path().join("link");
        symlink(&file, &link).unwrap();
        for path in [
            link.as_path(),
            folder.path(),
            Path::new("key"),
            &folder.path().join("gone"),
        ] {
            assert!(key(&settings(path)).is_err(), "{}", path.display());
        }
    }

    #[test]
    fn the_variable_comes_first_and_neither_means_that_none_is_sent() {
        let by_variable = OpenAiSettings {
            key_env: "PATH".to_owned(),
            key_file: "/no/such/file".to_owned(),
            ..OpenAiSettings::default()
        };
        assert!(key(&by_variable).unwrap().is_some());
        assert!(
            key(&OpenAiSettings {
                key_env: String::new(),
                ..OpenAiSettings::default()
            })
            .unwrap()
            .is_none()
        );
        let key_command = ["printf", "by-command"].map(str::to_owned).to_vec();
        let by_command = OpenAiSettings {
            key_env: "PHASEDECK_TEST_NO_SUCH_KEY".to_owned(),
            key_command,
            ..OpenAiSettings::default()
        };
        assert_eq!(
            key(&by_command).unwrap().unwrap().expose_secret(),
            "by-command"
        );
        let counted = tempfile::tempdir().unwrap();
        let count = format!(
            "echo x >> {0}; wc -l < {0}",
            counted.path().join("asked").display()
        );
        let counting = OpenAiSettings {
            key_command: ["sh", "-c", &count].map(str::to_owned).to_vec(),
            ..by_command.clone()
        };
        let asked = || key(&counting).unwrap().unwrap().expose_secret().to_owned();
        assert_eq!([asked(), asked()], ["1", "1"], "a process asks once");
        forget(&counting);
        assert_eq!(
            [asked(), asked()],
            ["2", "2"],
            "and again when it is told to"
        );
        assert_ne!(
            key(&OpenAiSettings {
                key_env: "PATH".to_owned(),
                ..by_command
            })
            .unwrap()
            .unwrap()
            .expose_secret(),
            "by-command"
        );
    }
}
