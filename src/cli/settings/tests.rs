use super::*;

fn problems_of(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let shape = SettingShape::of_settings();
    let variables = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let layers = vec![
        file::parse("config.toml", text, &shape),
        variables::read(variables, &shape),
    ];
    let problems = layered(layers).err().unwrap_or_default();
    problems
        .into_iter()
        .map(|problem| format!("{problem} | {}", problem.hint))
        .collect()
}

#[test]
fn each_mistake_in_a_file_has_its_exact_words() {
    for (text, says) in [
        (
            "[opnai]\n",
            "config.toml:1:2 (opnai): there is no setting 'opnai' [config_invalid] | did you mean 'openai'?",
        ),
        (
            "[openai]\nbase_ulr = 'x'\n",
            "config.toml:2:1 (openai.base_ulr): 'openai' has no setting 'base_ulr' [config_invalid] | did you mean 'base_url'?",
        ),
        (
            "[engine]\nmax_turns = 'fifty'\n",
            "config.toml:2:13 (engine.max_turns): 'engine.max_turns' must be a whole number from 0 to 4294967295, \
             not the text \"fifty\" [config_invalid] | write it without quotes",
        ),
        (
            "engine.max_turns = -1",
            "config.toml:1:20 (engine.max_turns): 'engine.max_turns' must be a whole number from 0 to 4294967295, \
             not -1 [config_invalid] | write a whole number from 0 to 4294967295",
        ),
        (
            "[engine]\non_crash = 'resum'",
            "config.toml:2:12 (engine.on_crash): 'engine.on_crash' must be one of ask, resume, fail, not the text \"resum\" \
             [config_invalid] | did you mean 'resume'?",
        ),
        (
            "[console]\nascii = 'yes'",
            "config.toml:2:9 (console.ascii): 'console.ascii' must be true or false, not the text \"yes\" [config_invalid] \
             | write it without quotes",
        ),
        (
            "openai = 3",
            "config.toml:1:10 (openai): 'openai' must be a table, not 3 [config_invalid] | write a table",
        ),
        (
            "[openai]\nmodel = 4.5",
            "config.toml:2:9 (openai.model): 'openai.model' must be text, not 4.5 [config_invalid] | put it in quotes",
        ),
        (
            "[console.keys]\nquit = ['q', 1]",
            "config.toml:2:14 (console.keys.quit[1]): 'console.keys.quit[1]' must be text, not 1 [config_invalid] | put it in quotes",
        ),
        (
            "[prices.\"acme/large\"]\ninput = '3'",
            "config.toml:1:9 (prices.\"acme/large\"): 'prices.\"acme/large\"' needs 'output' [config_invalid] | add `output = …`",
        ),
        (
            "[prices.m]\ninput = '3'\noutput = 'three'",
            "config.toml:3:10 (prices.m.output): 'prices.m.output' must be a decimal number of dollars [config_invalid] \
             | such as \"0.25\", per million tokens",
        ),
        (
            "[engine]\nmax_concurrent_runs = 0",
            "config.toml:2:23 (engine.max_concurrent_runs): 'engine.max_concurrent_runs' must be at least 1 [config_invalid] \
             | with 0 nothing could ever work",
        ),
        (
            "[openai]\nbase_url = 'localhost:8080'",
            "config.toml:2:12 (openai.base_url): 'openai.base_url' must begin with http:// or https:// [config_invalid] \
             | such as https://openrouter.ai/api/v1",
        ),
    ] {
        assert_eq!(problems_of(text, &[]), [says], "{text}");
    }
}

#[test]
fn broken_toml_is_placed() {
    let problems = problems_of("[engine]\nmax_turns = \n", &[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("config.toml:2:13: "),
        "{problems:?}"
    );
    assert!(
        problems[0].ends_with("[config_invalid] | mend the TOML"),
        "{problems:?}"
    );
}

#[test]
fn each_mistake_in_a_variable_has_its_exact_words() {
    for (variable, says) in [
        (
            ("PHASEDECK_OPENAI_BASEURL", "x"),
            "the variable PHASEDECK_OPENAI_BASEURL names no setting [config_invalid] | did you mean 'PHASEDECK_OPENAI_BASE_URL'?",
        ),
        (
            ("PHASEDECK_HOEM", "x"),
            "the variable PHASEDECK_HOEM names no setting [config_invalid] | did you mean 'PHASEDECK_HOME'?",
        ),
        (
            ("PHASEDECK_ENGINE_MAX_TURNS", "many"),
            "PHASEDECK_ENGINE_MAX_TURNS must be a whole number from 0 to 4294967295, not \"many\" [config_invalid] \
             | set it to such a value, or unset it",
        ),
        (
            ("PHASEDECK_PRICES", "x"),
            "PHASEDECK_PRICES cannot be set by a variable, because it is a table [config_invalid] | write it in config.toml",
        ),
        (
            ("PHASEDECK_OPENAI_MAX_TRIES", "0"),
            "PHASEDECK_OPENAI_MAX_TRIES must be at least 1 [config_invalid] | with 0 nothing could ever work",
        ),
    ] {
        assert_eq!(problems_of("", &[variable]), [says], "{variable:?}");
    }
}

#[test]
fn all_mistakes_of_all_layers_are_told_at_once() {
    let problems = problems_of(
        "a = 1\n[engine]\nb = 2\nmax_turns = true\n",
        &[("PHASEDECK_X", "1"), ("PHASEDECK_Y", "1")],
    );
    assert_eq!(problems.len(), 5, "{problems:#?}");
}

#[test]
fn later_layers_win_and_origins_are_kept() {
    let shape = SettingShape::of_settings();
    let text = "[openai]\nbase_url = 'https://file/v1'\nmodel = 'from-file'\n[prices.m]\ninput = '1'\noutput = '2'\n";
    let variables = [
        (
            "PHASEDECK_OPENAI_BASE_URL".to_owned(),
            "http://variable/v1".to_owned(),
        ),
        ("PATH".to_owned(), "x".to_owned()),
    ];
    let look = OutputOptions {
        ascii: true,
        no_color: false,
    };
    let loaded = layered(vec![
        file::parse("config.toml", text, &shape),
        variables::read(variables, &shape),
        Ok(flags(look)),
    ])
    .unwrap();
    assert_eq!(loaded.settings.openai.base_url, "http://variable/v1");
    assert_eq!(loaded.settings.openai.model, "from-file");
    assert_eq!(loaded.settings.openai.max_tries, 5);
    assert_eq!(loaded.settings.prices["m"].output, "2");
    assert!(loaded.settings.console.ascii);
    assert_eq!(
        loaded.origin("openai.base_url"),
        SettingOrigin::Variable("PHASEDECK_OPENAI_BASE_URL".to_owned())
    );
    let place = SourcePlace {
        file: "config.toml".to_owned(),
        line: Some(3),
        column: Some(9),
        field: Some("openai.model".to_owned()),
    };
    assert_eq!(loaded.origin("openai.model"), SettingOrigin::File(place));
    assert_eq!(
        loaded.origin("console.ascii"),
        SettingOrigin::Flag("--ascii")
    );
    assert_eq!(loaded.origin("openai.max_tries"), SettingOrigin::Default);
}

#[test]
fn a_file_that_does_not_exist_sets_nothing() {
    let home = tempfile::tempdir().unwrap();
    let loaded = load(
        &InstallPaths::beneath(home.path()),
        [],
        OutputOptions::default(),
    )
    .unwrap();
    assert_eq!(loaded, LoadedSettings::default());
}
