//! The forms that a secret travels in: as it is, in JSON, in addresses, and in Base64.
//!
//! Base64 of a text that the secret stands in shows it in three ways, by where it begins; the characters at
//! its edges are shared with its neighbours, so that part is taken which is the secret's alone.

use std::collections::BTreeSet;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};

/// What may stand unchanged in an address, by the habits of those who write them: nothing but what never
/// needs to be changed; a path; a component; a whole address.
const UNCHANGED: [&str; 4] = ["", "/", "!'()*", ";/?:@&=+$,#!'()*"];

/// Every form of a secret, each once.
pub(super) fn forms(secret: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([secret.to_owned(), json_escaped(secret)]);
    forms.extend(in_addresses(secret));
    for base64 in (0..3).flat_map(|offset| base64(secret, offset)) {
        forms.extend([
            percent_encoded(&base64, "", true),
            percent_encoded(&base64, "", false),
            base64,
        ]);
    }
    forms
}

fn in_addresses(text: &str) -> impl Iterator<Item = String> + '_ {
    let habits = UNCHANGED
        .into_iter()
        .flat_map(|unchanged| [false, true].map(|upper| percent_encoded(text, unchanged, upper)));
    // A form that is sent by a page writes its spaces so.
    habits.flat_map(|form| [form.replace("%20", "+"), form])
}

fn percent_encoded(text: &str, unchanged: &str, upper: bool) -> String {
    let encoded = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
            char::from(byte).to_string()
        }
        byte if unchanged.as_bytes().contains(&byte) => char::from(byte).to_string(),
        _ if upper => format!("%{byte:02X}"),
        _ => format!("%{byte:02x}"),
    };
    text.bytes().map(encoded).collect()
}

/// In both alphabets, `offset` bytes behind a multiple of three.
fn base64(secret: &str, offset: usize) -> [String; 2] {
    let bytes: Vec<u8> = std::iter::repeat_n(0, offset)
        .chain(secret.bytes())
        .collect();
    let own = (offset * 8).div_ceil(6)..bytes.len() * 8 / 6;
    [&STANDARD, &URL_SAFE].map(|alphabet| {
        GeneralPurpose::new(alphabet, NO_PAD).encode(&bytes)[own.clone()].to_owned()
    })
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}
