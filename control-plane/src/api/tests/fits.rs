//! Whether a value is as its schema says, as far as the document's schemas say anything.

use serde_json::{Map, Value};

/// Returns what does not fit, and where.
pub(super) fn misfit(value: &Value, schema: &Value, schemas: &Value) -> Option<String> {
    let fits = |schema: &Value| misfit(value, schema, schemas).is_none();
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return misfit(value, &schemas[name], schemas).map(|why| format!("{name}: {why}"));
    }
    for either in ["anyOf", "oneOf"] {
        if schema[either].as_array().is_some_and(|all| !all.iter().any(fits)) {
            return Some(format!("{value} is none of {either}"));
        }
    }
    let mut all = schema["allOf"].as_array().into_iter().flatten();
    if let Some(why) = all.find_map(|schema| misfit(value, schema, schemas)) {
        return Some(why);
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        return Some(format!("{value} is not among {}", schema["enum"]));
    }
    let of_type = &schema["type"];
    let several = of_type.as_array().into_iter().flatten();
    let types: Vec<&str> = several.chain([of_type]).filter_map(Value::as_str).collect();
    if !types.is_empty() && !types.iter().any(|name| is_a(value, name)) {
        return Some(format!("{value} is no {types:?}"));
    }
    if let Some(fields) = value.as_object() {
        return in_fields(fields, schema, schemas);
    }
    let mut values = value.as_array().into_iter().flatten();
    let items = &schema["items"];
    values.find_map(|value| items.is_object().then(|| misfit(value, items, schemas)).flatten())
}

fn in_fields(fields: &Map<String, Value>, schema: &Value, schemas: &Value) -> Option<String> {
    let required = schema["required"].as_array().into_iter().flatten();
    let mut required = required.filter_map(Value::as_str);
    if let Some(name) = required.find(|name| !fields.contains_key(*name)) {
        return Some(format!("{name} is missing"));
    }
    let known = schema["properties"].as_object()?;
    let is_open = schema.get("additionalProperties").is_some() || schema.get("anyOf").is_some();
    fields.iter().find_map(|(name, value)| match known.get(name) {
        Some(schema) => misfit(value, schema, schemas).map(|why| format!("{name}: {why}")),
        None if is_open => None,
        None => Some(format!("{name} is not told of")),
    })
}

fn is_a(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}
