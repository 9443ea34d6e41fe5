//! The pictures in `docs/screens`: what the console looks like, drawn from the same samples as the tests.
//!
//! `UPDATE_SCREENS=1 cargo test --lib pictures` draws them anew; without it they are compared.

use super::{ConsoleHarness, SampleRunState, at_gate, at_home, look, on_run, settle, world};
use crate::model::settings::ThemeName;
use crate::ui::svg::{SvgPalette, svg};

struct ScreenPicture {
    name: &'static str,
    title: &'static str,
    theme: ThemeName,
    make: fn() -> ConsoleHarness,
}

const PICTURES: &[ScreenPicture] = &[
    ScreenPicture {
        name: "runs",
        title: "The list of runs: who waits comes first",
        theme: ThemeName::Dark,
        make: runs,
    },
    ScreenPicture {
        name: "run",
        title: "A run at work",
        theme: ThemeName::Dark,
        make: run,
    },
    ScreenPicture {
        name: "run-wide",
        title: "A run on a wide terminal",
        theme: ThemeName::Dark,
        make: wide,
    },
    ScreenPicture {
        name: "run-bars",
        title: "Phases as bars over time",
        theme: ThemeName::Dark,
        make: bars,
    },
    ScreenPicture {
        name: "gate",
        title: "A gate: what changed since the last review",
        theme: ThemeName::Dark,
        make: gate,
    },
    ScreenPicture {
        name: "gate-light",
        title: "A gate on a light terminal",
        theme: ThemeName::Light,
        make: gate,
    },
    ScreenPicture {
        name: "run-contrast",
        title: "A failed run without colours",
        theme: ThemeName::Contrast,
        make: failed,
    },
];

fn runs() -> ConsoleHarness {
    at_home((110, 24), world(SampleRunState::Awaiting))
}

fn run() -> ConsoleHarness {
    on_run((130, 36), SampleRunState::Executing)
}

fn wide() -> ConsoleHarness {
    on_run((180, 44), SampleRunState::Awaiting)
}

fn bars() -> ConsoleHarness {
    let mut bench = on_run((100, 30), SampleRunState::Completed);
    bench.press("1");
    bench.press("t");
    bench
}

fn gate() -> ConsoleHarness {
    at_gate((110, 32), SampleRunState::Awaiting)
}

fn failed() -> ConsoleHarness {
    on_run((100, 26), SampleRunState::Failed)
}

#[test]
fn the_pictures_of_the_documentation_are_what_the_console_draws() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screens");
    let update = std::env::var_os("UPDATE_SCREENS").is_some();
    let mut old = Vec::new();
    for picture in PICTURES {
        let mut bench = (picture.make)();
        bench.state.look.theme = picture.theme;
        settle(&mut bench);
        let drawn = svg(
            &look(&bench.state).0,
            &SvgPalette::render_svg(picture.theme),
            picture.title,
        );
        let path = folder.join(format!("{}.svg", picture.name));
        if update {
            std::fs::write(&path, &drawn).unwrap();
        }
        if std::fs::read_to_string(&path).ok() != Some(drawn) {
            old.push(picture.name);
        }
    }
    assert!(
        old.is_empty(),
        "not as they are drawn now: {old:?}; `UPDATE_SCREENS=1 cargo test --lib pictures` draws them anew"
    );
    let known: Vec<String> = PICTURES
        .iter()
        .map(|picture| format!("{}.svg", picture.name))
        .collect();
    let there = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        there
            .filter(|name| name.ends_with(".svg") && !known.contains(name))
            .collect::<Vec<_>>(),
        Vec::<String>::new()
    );
}
