//! The exact words of every mistake in a workflow, a persona and an artifact schema, each followed by its hint.

use super::super::{persona, schema, workflow};
use super::rendered;
use crate::model::id::SchemaId;

fn of_workflow(text: &str) -> Vec<String> {
    let schemas = ["dev/plan@1", "dev/spec@1"]
        .map(SchemaId::from)
        .into_iter()
        .collect();
    rendered(
        &workflow::read(text, "w.yaml", &schemas)
            .err()
            .unwrap_or_default(),
    )
}

/// What is wrong with a phase that has `field` beside its key and role.
fn of_phase(field: &str) -> Vec<String> {
    of_workflow(&format!(
        "name: w\nversion: 1\nroles: [{{id: dev}}]\nphases:\n  - key: a\n    role: dev\n    {field}\n"
    ))
}

/// What is wrong with a persona that has `rest` beside its name and version.
fn of_persona(rest: &str) -> Vec<String> {
    rendered(
        &persona::read(&format!("name: p\nversion: 1\n{rest}"), "p.yaml")
            .err()
            .unwrap_or_default(),
    )
}

fn of_schema(text: &str) -> Vec<String> {
    rendered(&schema::read(text, "s.json").err().unwrap_or_default())
}

#[test]
fn every_mistake_of_a_workflow_is_told_with_its_place_and_hint() {
    let table: &[(&str, &[&str])] = &[
        (
            "",
            &[
                "w.yaml: the file is empty [workflow_invalid]\n  write at least `name` and `version`",
            ],
        ),
        (
            "name: w\nversion: 1\nroles: [{id: dev}]\nphases:\n  - {key: a, role: dev, expected_artifact: {path: out/a.json, schema: dev/spec@1}}\n  - {key: b, role: dev, expected_artifact: {path: Out/a.json, schema: dev/spec@1}}\n",
            &[
                "w.yaml:5:3 (phases): the paths out/a.json and Out/a.json are one file on some systems [workflow_invalid]\n  use one spelling for both",
            ],
        ),
        (
            "- a\n",
            &[
                "w.yaml:1:1: must be a group of fields, and is a list [workflow_invalid]\n  change the value",
            ],
        ),
        (
            "name: w\n",
            &[
                "w.yaml:1:1: field 'version' is missing [workflow_invalid]\n  add `version:`",
                "w.yaml:1:1: field 'roles' is missing [workflow_invalid]\n  add `roles:`",
                "w.yaml:1:1: field 'phases' is missing [workflow_invalid]\n  add `phases:`",
            ],
        ),
        (
            "nmae: w\nversion: 1\nroles: [{id: dev}]\nphases: [{key: a, role: dev}]\n",
            &[
                "w.yaml:1:1 (nmae): there is no field 'nmae' here [workflow_invalid]\n  did you mean 'name'? known: name, version, description, roles, default_gates, phases",
                "w.yaml:1:1: field 'name' is missing [workflow_invalid]\n  add `name:`",
            ],
        ),
        (
            "name: 7\nversion: one\nroles: dev\nphases: {a: 1}\n",
            &[
                "w.yaml:1:7 (name): must be text, and is a whole number [workflow_invalid]\n  put it in quotes",
                "w.yaml:2:10 (version): must be a whole number, and is text [workflow_invalid]\n  change the value",
                "w.yaml:3:8 (roles): must be a list, and is text [workflow_invalid]\n  change the value",
                "w.yaml:4:9 (phases): must be a list, and is a group of fields [workflow_invalid]\n  change the value",
            ],
        ),
        (
            "name: my flow\nversion: 0\nroles: []\nphases: []\n",
            &[
                "w.yaml:1:7 (name): 'my flow' is not a name [workflow_invalid]\n  start with a letter, then letters, digits, _ and -, at most 64 (ASCII)",
                "w.yaml:2:10 (version): must be 1 or more, and is 0 [workflow_invalid]\n  change the number",
                "w.yaml:3:8 (roles): has no role [workflow_invalid]\n  add at least one: `- id: developer`",
                "w.yaml:4:9 (phases): has no phase [workflow_invalid]\n  add at least one: `- key: implement`",
            ],
        ),
        (
            "name: w\nversion: 1\nroles:\n  - {id: dev}\n  - {id: dev, capabilities: [code]}\nphases:\n  - {key: a, role: dve}\n  - {key: a, role: dev, gates: [ok, ok]}\n",
            &[
                "w.yaml:5:5 (roles[1]): role 'dev' is there twice [workflow_invalid]\n  keep one of the two",
                "w.yaml:5:15 (roles[1].capabilities): there is no field 'capabilities' here [workflow_invalid]\n  known: id, required_capabilities, preferred_backends",
                "w.yaml:7:20 (phases[0].role): 'dve' is not a role of this workflow [workflow_invalid]\n  did you mean 'dev'? known: dev",
                "w.yaml:8:5 (phases[1]): phase 'a' is there twice [workflow_invalid]\n  keep one of the two",
                "w.yaml:8:37 (phases[1].gates[1]): gate 'ok' is there twice [workflow_invalid]\n  keep one of the two",
            ],
        ),
        (
            "name: w\nversion: 1\nroles: [{id: dev, preferred_backends: [opnai], required_capabilities: [code, code]}]\nphases: [{key: a, role: dev}]\n",
            &[
                "w.yaml:3:40 (roles[0].preferred_backends[0]): 'opnai' is not a backend [workflow_invalid]\n  did you mean 'openai'? known: openai, acp, rehearsal",
                "w.yaml:3:78 (roles[0].required_capabilities[1]): capability 'code' is there twice [workflow_invalid]\n  keep one of the two",
            ],
        ),
        (
            "name: w\nname: v\n",
            &[
                "w.yaml:2:1: the file has 'name' twice; the first is at 1:1 [workflow_invalid]\n  keep one of the two",
            ],
        ),
        (
            "name: w\n---\nname: v\n",
            &[
                "w.yaml:2:1: the file holds more than one document [workflow_invalid]\n  keep one document in a file and remove `---`",
            ],
        ),
        (
            "name: !!str w\n",
            &[
                "w.yaml:1:7: the file has a YAML tag [workflow_invalid]\n  remove the word that begins with `!`; the type follows from the field",
            ],
        ),
        (
            "name: w\n version: 2\n",
            &[
                "w.yaml:2:9: the file is not YAML: mapping values are not allowed in this context [workflow_invalid]\n  check indentation, quotes and colons here",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(of_workflow(text), *expected, "{text}");
    }
}

#[test]
fn every_mistake_of_a_phase_is_told_with_its_place_and_hint() {
    let table: &[(&str, &[&str])] = &[
        (
            "timeout_seconds: 0",
            &[
                "w.yaml:7:22 (phases[0].timeout_seconds): must be 1 to 86400, and is 0 [workflow_invalid]\n  change the number",
            ],
        ),
        (
            "timeout_seconds: 86401",
            &[
                "w.yaml:7:22 (phases[0].timeout_seconds): must be 1 to 86400, and is 86401 [workflow_invalid]\n  change the number",
            ],
        ),
        (
            "timeout_seconds: -1",
            &[
                "w.yaml:7:22 (phases[0].timeout_seconds): must be 1 to 86400, and is -1 [workflow_invalid]\n  change the number",
            ],
        ),
        (
            "timeout_seconds: 1.5",
            &[
                "w.yaml:7:22 (phases[0].timeout_seconds): must be a whole number, and is a decimal number [workflow_invalid]\n  change the value",
            ],
        ),
        (
            "timeout_seconds: yes",
            &[
                "w.yaml:7:22 (phases[0].timeout_seconds): must be a whole number, and is text [workflow_invalid]\n  change the value",
            ],
        ),
        (
            "risk: hihg",
            &[
                "w.yaml:7:11 (phases[0].risk): 'hihg' is not a risk [workflow_invalid]\n  did you mean 'high'? known: low, medium, high",
            ],
        ),
        (
            "max_repairs: 11",
            &[
                "w.yaml:7:18 (phases[0].max_repairs): must be 0 to 10, and is 11 [workflow_invalid]\n  change the number",
            ],
        ),
        (
            "gates: ok",
            &[
                "w.yaml:7:12 (phases[0].gates): must be a list, and is text [workflow_invalid]\n  change the value",
            ],
        ),
        (
            "gates: [a b]",
            &[
                "w.yaml:7:13 (phases[0].gates[0]): 'a b' is not a name [workflow_invalid]\n  start with a letter, then letters, digits, _ and -, at most 64 (ASCII)",
            ],
        ),
        (
            "title: 5",
            &[
                "w.yaml:7:12 (phases[0].title): must be text, and is a whole number [workflow_invalid]\n  put it in quotes",
            ],
        ),
        ("title: on", &[]),
        (
            "title: true",
            &[
                "w.yaml:7:12 (phases[0].title): must be text, and is true or false [workflow_invalid]\n  put it in quotes",
            ],
        ),
        (
            "instructions: ",
            &[
                "w.yaml:7:17 (phases[0].instructions): must be text, and is nothing [workflow_invalid]\n  write a value, or leave the field out",
            ],
        ),
        (
            "expected_artifact: {path: ../x, schema: dev/spec@1}",
            &[
                "w.yaml:7:31 (phases[0].expected_artifact.path): the path ../x leaves the worktree by '..' [workflow_invalid]\n  name a file beneath the worktree, such as phasedeck/spec.json",
            ],
        ),
        (
            "expected_artifact: {path: .GIT/x, schema: dev/spec@1}",
            &[
                "w.yaml:7:31 (phases[0].expected_artifact.path): the path .GIT/x leads into git's own folder by '.GIT' [workflow_invalid]\n  name a file beneath the worktree, such as phasedeck/spec.json",
            ],
        ),
        (
            "expected_artifact: {path: /x, schema: dev/spec@1}",
            &[
                "w.yaml:7:31 (phases[0].expected_artifact.path): the path /x is not relative to the worktree [workflow_invalid]\n  name a file beneath the worktree, such as phasedeck/spec.json",
            ],
        ),
        (
            "expected_artifact: {path: x.json, schema: dev/spce@1}",
            &[
                "w.yaml:7:47 (phases[0].expected_artifact.schema): 'dev/spce@1' is not a known schema [workflow_invalid]\n  did you mean 'dev/spec@1'? known: dev/plan@1, dev/spec@1",
            ],
        ),
        (
            "expected_artifact: {path: x.json, schema: spec}",
            &[
                "w.yaml:7:47 (phases[0].expected_artifact.schema): 'spec' is not a schema id [workflow_invalid]\n  write namespace/name@version, such as dev/spec@1",
            ],
        ),
        (
            "expected_artifact: {path: x.json}",
            &[
                "w.yaml:7:24 (phases[0].expected_artifact): field 'schema' is missing [workflow_invalid]\n  add `schema:`",
            ],
        ),
        (
            "expected_artifact: x.json",
            &[
                "w.yaml:7:24 (phases[0].expected_artifact): must be a group of fields, and is text [workflow_invalid]\n  change the value",
            ],
        ),
        (
            "timeout: 5",
            &[
                "w.yaml:7:5 (phases[0].timeout): there is no field 'timeout' here [workflow_invalid]\n  did you mean 'timeout_seconds'? known: key, title, risk, role, instructions, timeout_seconds, expected_artifact, gates, max_repairs",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(of_phase(text), *expected, "{text}");
    }
}

#[test]
fn every_mistake_of_a_persona_is_told_with_its_place_and_hint() {
    let table: &[(&str, &[&str])] = &[
        (
            "backend: openia\n",
            &[
                "p.yaml:3:10 (backend): 'openia' is not a backend [persona_invalid]\n  did you mean 'openai'? known: openai, acp, rehearsal",
            ],
        ),
        (
            "tools: [ls]\n",
            &["p.yaml:1:1: field 'backend' is missing [persona_invalid]\n  add `backend:`"],
        ),
        (
            "backend: openai\ntools: [grep, shell, grep, reed_file]\n",
            &[
                "p.yaml:4:15 (tools[1]): 'shell' is not a tool [persona_invalid]\n  known: ls, read_file, write_file, edit_file, glob, grep, write_todos, execute, task",
                "p.yaml:4:22 (tools[2]): tool 'grep' is there twice [persona_invalid]\n  keep one of the two",
                "p.yaml:4:28 (tools[3]): 'reed_file' is not a tool [persona_invalid]\n  did you mean 'read_file'? known: ls, read_file, write_file, edit_file, glob, grep, write_todos, execute, task",
            ],
        ),
        (
            "backend: openai\ntools: [ls]\npermissions: {execute: ask, lss: auto, ls: maybe}\n",
            &[
                "p.yaml:5:15 (permissions.execute): 'execute' is not among its tools [persona_invalid]\n  add 'execute' to `tools`, or remove this line",
                "p.yaml:5:29 (permissions.lss): 'lss' is not a tool [persona_invalid]\n  did you mean 'ls'? known: ls, read_file, write_file, edit_file, glob, grep, write_todos, execute, task",
                "p.yaml:5:44 (permissions.ls): 'maybe' is not a permission [persona_invalid]\n  known: auto, ask, deny",
            ],
        ),
        (
            "backend: openai\nmodel: a b\nparams: {temperature: 3, top_p: -0.5, max_tokens: 0, reasoning_effort: huge, seed: 1}\n",
            &[
                "p.yaml:4:8 (model): must be a model's name, without spaces [persona_invalid]\n  leave the field out for the backend's default model",
                "p.yaml:5:23 (params.temperature): must be 0 to 2, and is 3 [persona_invalid]\n  change the number",
                "p.yaml:5:33 (params.top_p): must be 0 to 1, and is -0.5 [persona_invalid]\n  change the number",
                "p.yaml:5:51 (params.max_tokens): must be 1 to 1000000, and is 0 [persona_invalid]\n  change the number",
                "p.yaml:5:72 (params.reasoning_effort): 'huge' is not a reasoning effort [persona_invalid]\n  known: low, medium, high",
                "p.yaml:5:78 (params.seed): there is no field 'seed' here [persona_invalid]\n  known: temperature, top_p, max_tokens, mode, reasoning_effort",
            ],
        ),
        (
            "backend: openai\npermissions: [ask]\nmodle: x\n",
            &[
                "p.yaml:4:14 (permissions): must be a group of fields, and is a list [persona_invalid]\n  change the value",
                "p.yaml:5:1 (modle): there is no field 'modle' here [persona_invalid]\n  did you mean 'model'? known: name, version, description, backend, agent, model, capabilities, system_prompt, tools, permissions, params",
            ],
        ),
        (
            "backend: openai\ncapabilities: [code, code, 'a b']\nsystem_prompt: 5\n",
            &[
                "p.yaml:4:22 (capabilities[1]): capability 'code' is there twice [persona_invalid]\n  keep one of the two",
                "p.yaml:4:28 (capabilities[2]): 'a b' is not a name [persona_invalid]\n  start with a letter, then letters, digits, _ and -, at most 64 (ASCII)",
                "p.yaml:5:16 (system_prompt): must be text, and is a whole number [persona_invalid]\n  put it in quotes",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(of_persona(text), *expected, "{text}");
    }
}

#[test]
fn every_mistake_of_a_schema_is_told_with_its_place_and_hint() {
    let table: &[(&str, &[&str])] = &[
        (
            "[]",
            &[
                "s.json:1:1: a schema must be a JSON object [schema_invalid]\n  begin with { \"type\": \"object\" }",
            ],
        ),
        (
            "{\"a\":1,\n\"a\":2}",
            &[
                "s.json:2:3: the file has the key 'a' twice in one object [schema_invalid]\n  change it here",
            ],
        ),
        (
            "{",
            &[
                "s.json:1:1: the file is not JSON: EOF while parsing an object [schema_invalid]\n  check commas, quotes and brackets here",
            ],
        ),
        (
            "{} {}",
            &[
                "s.json:1:4: the file is not JSON: trailing characters [schema_invalid]\n  check commas, quotes and brackets here",
            ],
        ),
        (
            "{\"$schema\": \"http://json-schema.org/draft-07/schema#\"}",
            &[
                "s.json:1:13 (/$schema): the dialect \"http://json-schema.org/draft-07/schema#\" is not supported [schema_invalid]\n  write https://json-schema.org/draft/2020-12/schema, or leave the field out",
            ],
        ),
        (
            "{\n \"type\": \"objekt\",\n \"minItems\": -1\n}",
            &[
                "s.json:2:10 (/type): 'type' fits none of the 2 allowed kinds; closest: 'type' must be one of \"array\", \"boolean\", \"integer\", \"null\", \"number\", \"object\", \"string\", but is \"objekt\" [schema_invalid]\n  see the keyword's rules in JSON Schema draft 2020-12",
                "s.json:3:14 (/minItems): 'minItems' must be at least 0, but is -1 [schema_invalid]\n  see the keyword's rules in JSON Schema draft 2020-12",
            ],
        ),
        (
            "{\n \"properties\": {\n  \"a\": {\"$ref\": \"http://x/y\"},\n  \"b\": {\"$ref\": \"#/$defs/c\"}\n }\n}",
            &[
                "s.json:3:17 (/properties/a/$ref): the reference 'http://x/y' leads out of the document [schema_invalid]\n  copy what it names into $defs and write #/$defs/NAME; nothing is ever fetched",
                "s.json:4:17 (/properties/b/$ref): the reference '#/$defs/c' leads to no schema in this document [schema_invalid]\n  write #/$defs/NAME, with NAME in $defs",
            ],
        ),
        (
            "{\"$ref\": \"#/$defs/a\", \"$defs\": {\"a\": {\"$ref\": \"#/$defs/b\"}, \"b\": {\"$ref\": \"#/$defs/a\"}}}",
            &[
                "s.json:1:38 (/$defs/a): references go in a circle: #/$defs/a → #/$defs/b → #/$defs/a [schema_invalid]\n  let one of them describe the data itself, with type or properties",
            ],
        ),
        (
            "{\n \"properties\": {\"a\": {\"pattern\": \"(?=a)b\"}}}",
            &[
                "s.json:2:34 (/properties/a/pattern): the pattern '(?=a)b' cannot be used [schema_invalid]\n  write a regular expression without look-around and back-references, and of moderate size",
            ],
        ),
        (
            "{\n \"properties\": {\"a\": {\"pattern\": \"(a{1000}){1000}\"}}}",
            &[
                "s.json:2:34 (/properties/a/pattern): the pattern '(a{1000}){1000}' cannot be used [schema_invalid]\n  write a regular expression without look-around and back-references, and of moderate size",
            ],
        ),
        (
            "{\"properties\": {\"id\": {\"format\": \"uid\"}}}",
            &[
                "s.json:1:34 (/properties/id/format): the format 'uid' is not known [schema_invalid]\n  use a format of JSON Schema draft 2020-12, or a pattern",
            ],
        ),
        (
            "{\"patternProperties\": {\"(?=x)\": true}}",
            &[
                "s.json:1:33 (/patternProperties/(?=x)): the pattern '(?=x)' cannot be used [schema_invalid]\n  write a regular expression without look-around and back-references, and of moderate size",
            ],
        ),
    ];
    for (text, expected) in table {
        assert_eq!(of_schema(text), *expected, "{text}");
    }
}

#[test]
fn sixty_four_phases_are_the_most() {
    let with = |n: usize| {
        let phases: String = (0..n)
            .map(|i| format!("  - {{key: p{i}, role: dev}}\n"))
            .collect();
        of_workflow(&format!(
            "name: w\nversion: 1\nroles: [{{id: dev}}]\nphases:\n{phases}"
        ))
    };
    assert_eq!(with(64), [""; 0]);
    assert_eq!(
        with(65),
        [
            "w.yaml:5:3 (phases): has 65 phases, and 64 is the most [workflow_invalid]\n  split the workflow"
        ]
    );
}
