//! Strings: by format, by pattern, else words that fit the place, cut or padded to their length.

use regex::Regex;
use regex_syntax::hir::{Class, Hir, HirKind};
use serde_json::{Map, Value};

use super::UnsupportedSchema;
use super::object::limit;
use crate::engine::agent::rehearsal::generate::generator::{
    DocumentGenerator, FreeText, SchemaPosition,
};
use crate::engine::agent::rehearsal::generate::vocabulary;

/// Characters a string is padded to at most.
const MOST: usize = 100_000;

/// Makes a string.
pub fn make(
    maker: &mut DocumentGenerator<'_>,
    keywords: &Map<String, Value>,
    spot: &SchemaPosition,
) -> Result<String, UnsupportedSchema> {
    let least = limit(keywords, "minLength").unwrap_or(0);
    let most = limit(keywords, "maxLength").unwrap_or(usize::MAX);
    if least > MOST || least > most {
        return Err(UnsupportedSchema::new(
            &spot.pointer,
            "minLength",
            format!("{least} characters are more than can be made"),
        ));
    }
    if let Some(exact) = keywords
        .get("format")
        .and_then(Value::as_str)
        .and_then(|format| of_format(maker, format, spot))
    {
        return Ok(exact);
    }
    let natural = vocabulary::fit(
        vocabulary::natural(maker.about, spot, keywords),
        least,
        most,
    );
    let Some(pattern) = keywords.get("pattern").and_then(Value::as_str) else {
        if vocabulary::is_free(spot) {
            maker.free.push(FreeText {
                pointer: spot.pointer.clone(),
                name: spot.name.clone(),
                max_length: most,
            });
        }
        return Ok(natural);
    };
    let matches = Regex::new(pattern).map_err(|_| {
        UnsupportedSchema::new(
            &spot.pointer,
            "pattern",
            format!("'{pattern}' is not supported"),
        )
    })?;
    let own = [natural, vocabulary::slug(maker.about, spot)].into_iter();
    let fits =
        |text: &String| matches.is_match(text) && (least..=most).contains(&text.chars().count());
    own.chain((0..=least.min(256)).filter_map(|more| of_pattern(pattern, spot.index, more)))
        .find(fits)
        .ok_or_else(|| {
            UnsupportedSchema::new(
                &spot.pointer,
                "pattern",
                format!("no text was found that '{pattern}' matches at this length"),
            )
        })
}

/// A text that `pattern` matches: each repetition as often as it must be and `more` times on top,
/// each class by the member that `pick` chooses.
pub fn of_pattern(pattern: &str, pick: usize, more: usize) -> Option<String> {
    let hir = regex_syntax::parse(pattern).ok()?;
    let mut out = String::new();
    spell(&hir, pick, more, &mut out)?;
    Some(out)
}

fn spell(hir: &Hir, pick: usize, more: usize, out: &mut String) -> Option<()> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(()),
        HirKind::Literal(literal) => {
            out.push_str(std::str::from_utf8(&literal.0).ok()?);
            Some(())
        }
        HirKind::Class(class) => {
            out.push(member(class, pick)?);
            Some(())
        }
        HirKind::Capture(capture) => spell(&capture.sub, pick, more, out),
        HirKind::Concat(parts) => parts
            .iter()
            .try_for_each(|part| spell(part, pick, more, out)),
        HirKind::Alternation(ways) => spell(ways.get(pick % ways.len().max(1))?, pick, more, out),
        HirKind::Repetition(times) => {
            let least = usize::try_from(times.min).ok()?;
            let most = times
                .max
                .and_then(|max| usize::try_from(max).ok())
                .unwrap_or(usize::MAX);
            let count = (least + more).min(most);
            // The first character carries the difference, so that short texts differ too.
            (0..count).try_for_each(|n| {
                spell(&times.sub, if n == 0 { pick } else { pick + n }, more, out)
            })
        }
    }
}

/// The member of a class that `pick` chooses; letters and digits before anything else.
fn member(class: &Class, pick: usize) -> Option<char> {
    let ranges: Vec<(char, char)> = match class {
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .map(|range| (range.start(), range.end()))
            .collect(),
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .map(|range| (char::from(range.start()), char::from(range.end())))
            .collect(),
    };
    let holds = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
    let plain: Vec<char> = ('a'..='z')
        .chain('A'..='Z')
        .chain('0'..='9')
        .chain(' '..='~')
        .filter(|c| holds(*c))
        .collect();
    if plain.is_empty() {
        ranges.first().map(|(from, _)| *from)
    } else {
        plain.get(pick % plain.len()).copied()
    }
}

fn of_format(maker: &DocumentGenerator<'_>, format: &str, spot: &SchemaPosition) -> Option<String> {
    let slug = vocabulary::slug(maker.about, spot);
    let day = (spot.index % 27) + 1;
    Some(match format {
        "uuid" if vocabulary::plain(&spot.name) == "runid" => maker.about.run_id.to_string(),
        "uuid" => maker.uuid_at(spot).to_string(),
        "date" => format!("2026-01-{day:02}"),
        "time" => format!("09:{:02}:00Z", spot.index % 60),
        "date-time" => format!("2026-01-{day:02}T09:00:00Z"),
        "duration" => format!("PT{}M", spot.index + 1),
        "email" | "idn-email" => format!("{slug}@example.com"),
        "hostname" | "idn-hostname" => format!("{slug}.example.com"),
        "ipv4" => format!("192.0.2.{}", spot.index % 254 + 1),
        "ipv6" => format!("2001:db8::{:x}", spot.index % 0xfffe + 1),
        "uri" | "uri-reference" | "iri" | "iri-reference" | "uri-template" => {
            format!("https://example.com/{slug}")
        }
        "json-pointer" => format!("/{slug}"),
        "relative-json-pointer" => format!("{}/{slug}", spot.index),
        "regex" => format!("^{slug}$"),
        _ => return None,
    })
}
