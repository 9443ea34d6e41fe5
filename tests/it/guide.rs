//! Follows the guide word by word, in an empty home, as somebody new would.

use std::path::Path;

use crate::documents::fenced;
use crate::home::Home;
use crate::model_script::{Asked, Script};
use crate::model_server::Reply;

const GUIDE: &str = include_str!("../../docs/guide.md");

/// Splits a line as a shell would, as far as the guide goes: words, and words in single quotes.
fn words(line: &str, config: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        match at % 2 {
            1 => words.push(part.to_owned()),
            _ => words.extend(part.split_whitespace().map(str::to_owned)),
        }
    }
    words
        .iter()
        .map(|word| word.replace("$CONFIG", config))
        .collect()
}

fn scribe(asked: &Asked) -> Reply {
    let note = serde_json::json!({
        "runId": asked.run_id, "phaseKey": asked.phase, "headline": "Carts can be shared now.", "details": ["With a link."]
    });
    match asked.turn {
        1 => asked.writes(&note),
        _ => Reply::stream()
            .text("It is written.")
            .finish("stop")
            .usage(300, 10, Some("0.0002"))
            .done(),
    }
}

#[test]
fn the_guide_works_word_by_word() {
    let script = Script::serve(scribe);
    let home = Home::new();
    std::fs::remove_file(home.paths().config_file()).unwrap();
    let config = home.paths().config.to_str().unwrap().to_owned();
    let mut ran = 0;
    for (head, text) in fenced(GUIDE) {
        match head
            .split_once(' ')
            .map_or((head.as_str(), None), |(kind, file)| (kind, Some(file)))
        {
            ("sh", Some("ignore")) => {}
            ("sh", _) => {
                for line in text.lines() {
                    follow(&home, &script, &words(line, &config));
                    ran += 1;
                }
            }
            (_, Some(file)) => {
                let path = file.replace("$CONFIG", &config);
                std::fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
                std::fs::write(path, &text).unwrap();
            }
            (kind, None) => panic!("a block of {kind} that nobody runs"),
        }
    }
    assert!(ran > 12, "{ran} commands");
    assert_eq!(
        (home.newest().state.as_str(), script.requests().len()),
        ("completed", 4)
    );
}

fn follow(home: &Home, script: &Script, words: &[String]) {
    assert_eq!(words[0], "phasedeck");
    let args: Vec<&str> = words[1..].iter().map(String::as_str).collect();
    let mut command = home.command(&args);
    command
        .env("PHASEDECK_OPENAI_BASE_URL", script.base_url())
        .env("OPENROUTER_API_KEY", "a-key")
        .env("PHASEDECK_REHEARSAL_PACE_MS", "0");
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{told}", words.join(" "));
}
