use proptest::prelude::*;
use serde_json::json;

use super::*;

fn about<'a>(phase_key: &'a PhaseKey, comment: Option<&'a str>) -> DocumentContext<'a> {
    let run_id = "01930000-0000-7000-8000-0000deadbeef".parse().unwrap();
    DocumentContext {
        run_id,
        phase_key,
        attempt: 1,
        requirements: "Greet people by name.\nIn two languages.",
        comment,
    }
}

fn make(schema: &Value) -> Result<Value> {
    document(schema, &about(&"spec".into(), None))
}

fn dev_spec() -> Value {
    let text = json!({ "type": "string", "minLength": 1 });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["runId", "phaseKey", "requirements", "acceptance_criteria", "approach", "risks"],
        "additionalProperties": false,
        "properties": {
            "runId": { "type": "string", "format": "uuid" },
            "phaseKey": { "type": "string" },
            "requirements": { "type": "string", "minLength": 10 },
            "acceptance_criteria": { "type": "array", "minItems": 1, "items": text },
            "approach": { "type": "string", "description": "How it will be built." },
            "risks": { "type": "array", "items": text },
        },
    })
}

#[test]
fn the_spec_of_a_development_run_reads_like_one() {
    assert_eq!(
        make(&dev_spec()).unwrap(),
        json!({
            "runId": "01930000-0000-7000-8000-0000deadbeef",
            "phaseKey": "spec",
            "requirements": "Rehearsal: Greet people by name.\nIn two languages.",
            "acceptance_criteria": [
                "Rehearsal: The result does what was asked for: Greet people by name.",
                "Rehearsal: Somebody who was not there can check it by following the description alone.",
                "Rehearsal: Nothing that worked before works differently now.",
            ],
            "approach": "Rehearsal: an agent would write here: How it will be built.",
            "risks": [
                "Rehearsal: The requirements may leave cases open that only show while building.",
                "Rehearsal: A change in one place may surprise who relies on the old behaviour.",
                "Rehearsal: The effort may be larger than it looks.",
            ],
        })
    );
}

fn reasonable_schemas() -> Vec<(&'static str, Value)> {
    let tree = json!({
        "$ref": "#/$defs/node",
        "$defs": { "node": { "type": "object", "required": ["value"], "properties": {
            "value": { "type": "integer" },
            "children": { "type": "array", "items": { "$ref": "#/$defs/node" } },
            "next": { "oneOf": [{ "$ref": "#/$defs/node" }, { "type": "null" }] },
        } } },
    });
    let text = json!({ "type": "string" });
    vec![
        ("anything", json!(true)),
        ("the empty schema", json!({})),
        ("the spec of a development run", dev_spec()),
        (
            "formats",
            json!({ "type": "object", "properties": (["uuid", "date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6",
            "uri", "uri-reference", "iri", "json-pointer", "relative-json-pointer", "regex", "uri-template", "of-our-own"])
            .iter().map(|format| ((*format).to_owned(), json!({ "type": "string", "format": format }))).collect::<Map>() }),
        ),
        (
            "lengths",
            json!({ "type": "array", "prefixItems": [{ "type": "string", "maxLength": 3 }, { "type": "string", "minLength": 500 },
            { "type": "string", "minLength": 12, "maxLength": 12 }, { "type": "string", "maxLength": 0 }], "items": false }),
        ),
        (
            "patterns",
            json!({ "type": "object", "properties": {
            "ticket": { "type": "string", "pattern": "^[A-Z]{2,5}-\\d+$" }, "hash": { "type": "string", "pattern": "^[0-9a-f]{40}$" },
            "semver": { "type": "string", "pattern": "^\\d+\\.\\d+\\.\\d+$" }, "word": { "pattern": "^(alpha|beta)$" },
            "long": { "type": "string", "pattern": "^x+$", "minLength": 20, "maxLength": 21 }, "loose": { "type": "string", "pattern": "\\S" } } }),
        ),
        (
            "enums and constants",
            json!({ "type": "object", "required": ["kind", "risk"], "properties": {
            "kind": { "const": "plan" }, "risk": { "enum": ["low", "medium", "high"] }, "mixed": { "type": "integer", "enum": ["a", 2, null] } } }),
        ),
        (
            "numbers",
            json!({ "type": "array", "items": false, "prefixItems": [
            { "type": "integer", "minimum": 7, "maximum": 7 }, { "type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 2 },
            { "type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1 }, { "type": "number", "multipleOf": 0.01, "minimum": 0.5, "maximum": 0.52 },
            { "type": "integer", "multipleOf": 7, "minimum": 30 }, { "type": "integer", "multipleOf": 2.5, "maximum": -3 },
            { "type": "integer", "maximum": -10 }, { "type": "number", "minimum": 0.25, "maximum": 0.25 } ] }),
        ),
        ("bounds without type", json!({ "minimum": 3, "maximum": 5 })),
        ("unique words", json!({ "type": "array", "minItems": 12, "uniqueItems": true, "items": text })),
        ("unique choices fewer than usual", json!({ "type": "array", "uniqueItems": true, "items": { "enum": ["a", "b"] } })),
        ("unique truth", json!({ "type": "array", "minItems": 2, "uniqueItems": true, "items": { "type": "boolean" } })),
        (
            "unique matches",
            json!({ "type": "array", "minItems": 5, "uniqueItems": true, "items": { "type": "string", "pattern": "^[a-z]{3}$" } }),
        ),
        (
            "a list that contains",
            json!({ "type": "array", "items": { "type": "object", "required": ["role"], "properties": { "role": text } },
            "contains": { "properties": { "role": { "const": "owner" } } }, "minContains": 2 }),
        ),
        (
            "one of several",
            json!({ "oneOf": [
            { "type": "object", "required": ["url"], "additionalProperties": false, "properties": { "url": { "type": "string", "format": "uri" } } },
            { "type": "object", "required": ["file"], "additionalProperties": false, "properties": { "file": text } }] }),
        ),
        ("one of which the first is never alone", json!({ "oneOf": [{ "type": "integer" }, { "type": "number" }, { "type": "string" }] })),
        (
            "any of with common ground",
            json!({ "type": "object", "properties": { "a": text }, "anyOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
        ),
        (
            "all of",
            json!({ "allOf": [{ "$ref": "#/$defs/base" }, { "required": ["n"], "properties": { "n": { "minimum": 5 } } }],
            "$defs": { "base": { "type": "object", "properties": { "n": { "type": "integer", "maximum": 6 } } } }, "unevaluatedProperties": false }),
        ),
        (
            "a condition",
            json!({ "type": "object", "required": ["kind"], "properties": { "kind": { "enum": ["a", "b"] } },
            "if": { "properties": { "kind": { "const": "a" } } }, "then": { "required": ["x"] }, "else": { "required": ["y"] } }),
        ),
        (
            "what depends",
            json!({ "type": "object", "required": ["a"], "dependentRequired": { "a": ["b"] }, "properties": { "b": { "type": "null" } } }),
        ),
        ("a tree", tree),
        ("itself", json!({ "type": "object", "properties": { "name": text, "inner": { "$ref": "#" } } })),
        ("an anchor", json!({ "type": "array", "items": { "$ref": "#word" }, "$defs": { "w": { "$anchor": "word", "type": "string" } } })),
        ("a map", json!({ "type": "object", "additionalProperties": { "type": "integer" }, "minProperties": 3, "maxProperties": 4 })),
        (
            "names by pattern",
            json!({ "type": "object", "patternProperties": { "^x-[a-z]+$": { "type": "boolean" } }, "additionalProperties": false, "minProperties": 2 }),
        ),
        (
            "names by grammar",
            json!({ "type": "object", "propertyNames": { "enum": ["one", "two"] }, "minProperties": 2, "additionalProperties": text }),
        ),
        ("few of many", json!({ "type": "object", "maxProperties": 1, "properties": { "a": text, "b": text }, "required": ["b"] })),
        ("a property that may not be", json!({ "type": "object", "properties": { "a": text, "b": false } })),
        ("several types", json!({ "type": ["null", "object"], "properties": { "a": { "type": ["null", "string"] } } })),
        ("not", json!({ "type": "object", "properties": { "a": text, "b": text }, "required": ["a"], "not": { "required": ["b"] } })),
        ("deep", (0..30).fold(text.clone(), |inner, _| json!({ "type": "object", "required": ["in"], "properties": { "in": inner } }))),
        (
            "escaped names",
            json!({ "type": "object", "required": ["a/b~c"], "properties": { "a/b~c": { "type": "string", "description": "Odd." } } }),
        ),
    ]
}

type Map = serde_json::Map<String, Value>;

#[test]
fn every_reasonable_schema_gets_a_valid_document_and_the_same_one_again() {
    for (name, schema) in reasonable_schemas() {
        let value = make(&schema).unwrap_or_else(|failure| panic!("{name}: {failure}"));
        assert!(
            jsonschema::draft202012::new(&schema)
                .unwrap()
                .is_valid(&value),
            "{name}: {value:#}"
        );
        assert_eq!(make(&schema).unwrap(), value, "{name}");
    }
}

/// Files beneath `schemas/artifacts` that hold a JSON Schema.
fn shipped(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                shipped(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn every_schema_that_ships_can_be_rehearsed_and_changed() {
    for path in shipped(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/artifacts"))
    {
        let schema: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        let value = document(&schema, &about(&"spec".into(), Some("Name them.")))
            .unwrap_or_else(|f| panic!("{}: {f}", path.display()));
        assert!(
            jsonschema::is_valid(&schema, &value),
            "{}: {value:#}",
            path.display()
        );
        assert!(
            value.to_string().contains("“Name them.”"),
            "{}: {value:#}",
            path.display()
        );
    }
}

#[test]
fn every_schema_that_refuses_anything_gets_an_invalid_text() {
    for (name, schema) in reasonable_schemas() {
        let text = invalid(&schema, &about(&"spec".into(), None)).unwrap();
        let valid = serde_json::from_str::<Value>(&text)
            .is_ok_and(|value| jsonschema::is_valid(&schema, &value));
        assert!(!valid, "{name}: {text}");
    }
}

#[test]
fn a_spoiled_spec_lacks_a_field_and_has_one_of_a_wrong_type() {
    let spoiled: Value =
        serde_json::from_str(&invalid(&dev_spec(), &about(&"spec".into(), None)).unwrap()).unwrap();
    let judge = jsonschema::draft202012::new(&dev_spec()).unwrap();
    let mut keywords: Vec<String> = judge
        .iter_errors(&spoiled)
        .map(|error| error.kind().keyword().to_owned())
        .collect();
    keywords.sort();
    assert_eq!(keywords, ["required", "type"]);
}

#[test]
fn all_optional_properties_are_there() {
    let schema = json!({ "type": "object", "properties": { "a": { "type": "string" }, "b": { "type": "integer" }, "c": { "type": "boolean" } } });
    assert_eq!(make(&schema).unwrap().as_object().unwrap().len(), 3);
}

#[test]
fn what_cannot_be_satisfied_is_named_with_pointer_and_keyword() {
    for (schema, place, keyword) in [
        (json!(false), "the document itself", "`false`"),
        (
            json!({ "type": "object", "required": ["a"], "properties": { "a": { "type": "string", "pattern": "^a$", "minLength": 2 } } }),
            "/a",
            "`pattern`",
        ),
        (
            json!({ "type": "array", "minItems": 3, "uniqueItems": true, "items": { "type": "boolean" } }),
            "the document itself",
            "`uniqueItems`",
        ),
        (
            json!({ "properties": { "n": { "type": "integer", "minimum": 5, "maximum": 4 } }, "required": ["n"] }),
            "/n",
            "`multipleOf`",
        ),
        (
            json!({ "$ref": "#/$defs/a", "$defs": { "a": { "type": "object", "required": ["a"], "properties": { "a": { "$ref": "#/$defs/a" } } } } }),
            "/a/a",
            "`$ref`",
        ),
        (
            json!({ "type": "string", "not": {} }),
            "the document itself",
            "`not`",
        ),
    ] {
        let failure = make(&schema).unwrap_err();
        assert_eq!(failure.code, Code::SchemaInvalid);
        assert!(
            failure.message.contains(place) && failure.message.contains(keyword),
            "{}",
            failure.message
        );
        assert!(!failure.hint.is_empty());
    }
}

#[test]
fn a_schema_that_doubles_at_each_step_is_refused_soon() {
    let twice = |n: usize| json!({ "allOf": [{ "$ref": format!("#/$defs/d{n}") }, { "$ref": format!("#/$defs/d{n}") }] });
    let defs: Map = (0..18)
        .map(|n| {
            (
                format!("d{n}"),
                if n == 17 { json!({}) } else { twice(n + 1) },
            )
        })
        .collect();
    let schema = json!({ "$ref": "#/$defs/d0", "$defs": defs });
    let failure = flat::flatten(&schema, &schema, &generator::SchemaPosition::default(), 0)
        .err()
        .unwrap();
    assert_eq!(
        (failure.keyword.as_str(), failure.why.as_str()),
        ("allOf", "more than 2000 schemas apply to one value")
    );
}

#[test]
fn a_broken_schema_and_one_from_elsewhere_are_refused() {
    for schema in [
        json!({ "type": "strange" }),
        json!({ "$ref": "https://example.com/schema.json" }),
        json!({ "pattern": "(" }),
    ] {
        assert_eq!(
            make(&schema).unwrap_err().code,
            Code::SchemaInvalid,
            "{schema}"
        );
    }
}

#[test]
fn a_comment_is_quoted_where_changes_are_explained() {
    let key = PhaseKey::from("spec");
    let value = document(
        &dev_spec(),
        &DocumentContext {
            attempt: 2,
            ..about(&key, Some("Shorter, please."))
        },
    )
    .unwrap();
    assert_eq!(
        value["approach"],
        "Rehearsal: as asked (“Shorter, please.”). An agent would write here: How it will be built."
    );
    assert_ne!(
        value["risks"],
        make(&dev_spec()).unwrap()["risks"],
        "another attempt finds other words"
    );
}

#[test]
fn a_comment_longer_than_its_field_is_cut_and_the_document_stays_valid() {
    let schema = json!({ "type": "object", "properties": { "note": { "type": "string", "maxLength": 30 } } });
    let value = document(&schema, &about(&"spec".into(), Some(&"x".repeat(100)))).unwrap();
    assert_eq!(value["note"], format!("Rehearsal: “{}…", "x".repeat(17)));
}

#[test]
fn a_long_wish_is_named_by_its_first_clauses_or_cut_after_a_word() {
    let key = PhaseKey::from("spec");
    let schema = json!({ "type": "object", "required": ["findings", "acceptance_criteria"], "properties": {
        "findings": { "type": "string" },
        "acceptance_criteria": { "type": "array", "minItems": 1, "items": { "type": "string" } } } });
    for (wish, topic) in [
        ("Make the greeting polite.", "Make the greeting polite."),
        (
            "A cart that shows prices in cents and never rounds them, and a receipt that adds up to the cent",
            "A cart that shows prices in cents and never rounds them.",
        ),
        (
            "A cart that shows all prices in whole cents and never ever rounds them up or down",
            "A cart that shows all prices in whole cents and never ever…",
        ),
        (&"x".repeat(70), &format!("{}…", "x".repeat(59))),
        (
            "Größe, Länge und Breite aller Pakete werden beim Versand in Millimetern gemessen",
            "Größe, Länge und Breite aller Pakete werden beim Versand in…",
        ),
    ] {
        let value = document(
            &schema,
            &DocumentContext {
                requirements: wish,
                ..about(&key, None)
            },
        )
        .unwrap();
        let told = value.to_string();
        assert!(told.contains(&format!(": {topic}")), "{topic}: {told}");
        assert!(
            !told.contains("….") && !told.contains(",.") && !told.contains("…\u{2026}"),
            "{told}"
        );
    }
}

fn simple_schema() -> impl Strategy<Value = Value> {
    let string = (0usize..20, 0usize..20).prop_map(
        |(a, b)| json!({ "type": "string", "minLength": a.min(b), "maxLength": a.max(b) }),
    );
    let integer = (-50i64..50, 0i64..50, 1i64..5)
        .prop_map(|(low, more, step)| json!({ "type": "integer", "minimum": low, "maximum": low + more + step, "multipleOf": step }));
    let number =
        (-50i32..50, 1i32..50).prop_map(|(low, more)| json!({ "type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + more }));
    let other = prop::sample::select(vec![
        json!({ "type": "boolean" }),
        json!({ "type": "null" }),
        json!({ "enum": ["a", 1, null] }),
        json!({ "type": "string", "format": "uuid" }),
        json!({ "type": "string", "pattern": "^[a-z]{2,4}-[0-9]+$" }),
        json!(true),
    ]);
    prop_oneof![string, integer, number, other].prop_recursive(3, 24, 4, |inner| {
        let object = (prop::collection::btree_map("[a-z]{1,6}", inner.clone(), 0..4), any::<bool>()).prop_map(|(properties, closed)| {
            let required: Vec<&String> = properties.keys().take(2).collect();
            json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": !closed })
        });
        let array = (inner.clone(), 0usize..4, 0usize..4)
            .prop_map(|(items, a, b)| json!({ "type": "array", "items": items, "minItems": a.min(b), "maxItems": a.max(b) }));
        let any_of = prop::collection::vec(inner, 1..3).prop_map(|ways| json!({ "anyOf": ways }));
        prop_oneof![object, array, any_of]
    })
}

proptest! {
    #[test]
    fn simple_schemas_always_get_a_valid_document(schema in simple_schema()) {
        let value = make(&schema).map_err(|failure| TestCaseError::fail(format!("{failure}: {schema}")))?;
        prop_assert!(jsonschema::draft202012::is_valid(&schema, &value), "{schema} {value}");
    }
}
