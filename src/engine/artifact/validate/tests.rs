use proptest::prelude::*;
use serde_json::json;

use super::*;

fn compiled(schema: Value) -> CompiledSchema {
    CompiledSchema::compile(&"test/x@1".into(), &schema).unwrap()
}

fn spec() -> CompiledSchema {
    compiled(json!({
        "type": "object",
        "required": ["runId", "phaseKey", "requirements", "acceptance_criteria", "approach", "risks"],
        "additionalProperties": false,
        "properties": {
            "runId": {"type": "string", "format": "uuid"},
            "phaseKey": {"const": "spec"},
            "requirements": {"type": "string", "minLength": 10, "maxLength": 40},
            "acceptance_criteria": {"type": "array", "minItems": 1, "maxItems": 12, "uniqueItems": true, "items": {"type": "string"}},
            "approach": {"type": ["string", "null"]},
            "effort": {"type": "integer", "minimum": 1, "exclusiveMaximum": 100},
            "owner": {"anyOf": [{"type": "null"}, {"type": "string", "pattern": "^[a-z]+$"}]},
            "risks": {"type": "array", "items": {
                "type": "object",
                "required": ["title"],
                "additionalProperties": false,
                "properties": {"title": {"type": "string"}, "level": {"enum": ["low", "high"]}},
            }},
        },
    }))
}

fn good() -> Value {
    json!({
        "runId": "01930000-0000-7000-8000-0000deadbeef",
        "phaseKey": "spec",
        "requirements": "enough words",
        "acceptance_criteria": ["it works"],
        "approach": "plain",
        "risks": [],
    })
}

fn found(schema: &CompiledSchema, value: &Value) -> Vec<(String, String)> {
    let verdict = validate(schema, "spec.json", value.to_string().as_bytes());
    assert_eq!(verdict.is_valid(), verdict.errors.is_empty());
    verdict
        .errors
        .into_iter()
        .map(|error| (error.pointer, error.message))
        .collect()
}

#[test]
fn a_good_artifact_has_nothing_wrong() {
    assert_eq!(found(&spec(), &good()), []);
}

#[test]
fn every_mistake_has_exact_words_and_an_exact_place() {
    let long = "x".repeat(5000);
    let clipped = format!("\"{}…\"", "x".repeat(60));
    let table: Vec<(&str, Value, &str, String)> = vec![
        ("runId", json!("abc"), "/runId", "'runId' must be a UUID such as 123e4567-e89b-42d3-a456-426614174000, but is \"abc\"".into()),
        ("runId", json!(7), "/runId", "'runId' must be a string, but is a number".into()),
        ("phaseKey", json!("plan"), "/phaseKey", "'phaseKey' must be \"spec\", but is \"plan\"".into()),
        ("phaseKey", json!(long), "/phaseKey", format!("'phaseKey' must be \"spec\", but is {clipped}")),
        ("requirements", json!("short"), "/requirements", "'requirements' must have at least 10 characters, but has 5".into()),
        ("requirements", json!(long), "/requirements", "'requirements' must have at most 40 characters, but has 5000".into()),
        ("acceptance_criteria", json!([]), "/acceptance_criteria", "'acceptance_criteria' must have at least 1 item, but has 0".into()),
        (
            "acceptance_criteria",
            json!(["a", 2]),
            "/acceptance_criteria/1",
            "'acceptance_criteria[1]' must be a string, but is a number".into(),
        ),
        (
            "acceptance_criteria",
            json!(["a", "b", "a"]),
            "/acceptance_criteria",
            "'acceptance_criteria' must not have an item twice; [0] and [2] are equal".into(),
        ),
        ("approach", json!({}), "/approach", "'approach' must be null or a string, but is an object".into()),
        ("effort", json!(1.5), "/effort", "'effort' must be an integer, but is a number".into()),
        ("effort", json!(0), "/effort", "'effort' must be at least 1, but is 0".into()),
        ("effort", json!(100), "/effort", "'effort' must be less than 100, but is 100".into()),
        (
            "owner",
            json!("ABC"),
            "/owner",
            "'owner' fits none of the 2 allowed kinds; closest: 'owner' must match the pattern ^[a-z]+$, but is \"ABC\"".into(),
        ),
        ("risks", json!([{}]), "/risks/0", "'risks[0]' lacks the required property 'title'".into()),
        (
            "risks",
            json!([{"title": "x", "level": "hgh"}]),
            "/risks/0/level",
            "'risks[0].level' must be one of \"low\", \"high\", but is \"hgh\"".into(),
        ),
        (
            "risks",
            json!([{"title": "x", "colour": "red"}]),
            "/risks/0/colour",
            "the property 'colour' is not allowed; allowed are title, level".into(),
        ),
        (
            "acceptanceCriteria",
            json!([]),
            "/acceptanceCriteria",
            "the property 'acceptanceCriteria' is not allowed; did you mean 'acceptance_criteria'?".into(),
        ),
    ];
    let schema = spec();
    for (field, value, pointer, expected) in table {
        let mut artifact = good();
        artifact[field] = value;
        assert_eq!(found(&schema, &artifact), [(pointer.to_owned(), expected)]);
    }
    assert_eq!(
        found(&schema, &json!([])),
        [(
            String::new(),
            "the document must be an object, but is an array".to_owned()
        )]
    );
}

#[test]
fn all_mistakes_are_told_at_once_in_the_order_of_their_places() {
    let schema = spec();
    let text = r#"{"runId": "x", "risks": [], "risks": [{}], "approach": "", "acceptance_criteria": ["a","b","c",0,"d","e","f","g","h","i",0]}"#;
    let verdict = validate(&schema, "spec.json", text.as_bytes());
    let lines: Vec<String> = verdict
        .errors
        .iter()
        .map(|error| format!("{}: {}", error.pointer, error.message))
        .collect();
    assert_eq!(
        lines,
        [
            ": the document lacks the required property 'phaseKey'",
            ": the document lacks the required property 'requirements'",
            "/acceptance_criteria: 'acceptance_criteria' must not have an item twice; [3] and [10] are equal",
            "/acceptance_criteria/3: 'acceptance_criteria[3]' must be a string, but is a number",
            "/acceptance_criteria/10: 'acceptance_criteria[10]' must be a string, but is a number",
            "/risks: the key 'risks' occurs more than once; keep one",
            "/risks/0: 'risks[0]' lacks the required property 'title'",
            "/runId: 'runId' must be a UUID such as 123e4567-e89b-42d3-a456-426614174000, but is \"x\"",
        ]
    );
}

#[test]
fn the_list_is_short_and_the_count_is_true() {
    let schema = compiled(json!({"items": {"type": "string"}}));
    let verdict = validate(&schema, "a.json", json!(vec![1; 33]).to_string().as_bytes());
    assert_eq!((verdict.errors.len(), verdict.total), (MAX_ERRORS, 33));
    assert_eq!(verdict.errors[19].pointer, "/19");
}

#[test]
fn text_artifacts_are_one_string() {
    let schema = compiled(json!({"type": "string", "minLength": 20}));
    let verdict = validate(&schema, "notes.md", b"# Too short\n");
    assert_eq!(
        verdict.errors,
        [ArtifactError {
            pointer: String::new(),
            message: "the text must have at least 20 characters, but has 12".to_owned()
        }]
    );
    assert!(validate(&schema, "notes.md", b"# Long enough to be a text\n").is_valid());
    assert!(!validate(&schema, "notes.json", b"# Long enough to be a text\n").is_valid());
    assert!(!validate(&schema, "notes.md", b"# Long enough, but no \xff text\n").is_valid());
}

#[test]
fn a_document_wrong_in_very_many_places_is_counted_only_so_far() {
    let schema = compiled(json!({"items": {"type": "string"}}));
    assert_eq!(
        validate(
            &schema,
            "a.json",
            json!(vec![1; 20_000]).to_string().as_bytes()
        )
        .total,
        10_000
    );
}

proptest! {
    #[test]
    fn no_bytes_make_validation_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = validate(&spec(), "spec.json", &bytes);
    }

    #[test]
    fn nearly_good_documents_never_panic_and_messages_stay_short(field in "[a-zA-Z_/~\u{0}-\u{ff}]{0,300}", value in ".{0,2000}") {
        let mut artifact = good();
        artifact[&field] = json!([value, {"k": value}]);
        let verdict = validate(&spec(), "spec.json", artifact.to_string().as_bytes());
        prop_assert!(!verdict.is_valid());
        for error in verdict.errors {
            prop_assert!(error.message.chars().count() <= 301);
            prop_assert!(!error.message.chars().any(char::is_control));
        }
    }
}
