use super::*;

/// The schema that ships is the one that the types make; `UPDATE_SCHEMAS=1` writes it anew.
#[test]
fn the_schema_that_ships_is_made_from_the_types() {
    let made = schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Report>();
    let made = serde_json::to_string_pretty(&made).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/report.schema.json");
        std::fs::write(path, &made).unwrap();
        return;
    }
    assert_eq!(SCHEMA, made, "run the test with UPDATE_SCHEMAS=1");
}
