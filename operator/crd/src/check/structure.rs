//! Types, bounds and unknown fields, in the apiserver's words
//! (<https://github.com/kubernetes/kubernetes/blob/master/staging/src/k8s.io/apimachinery/pkg/util/validation/field/errors.go>).

use serde_json::{Map, Value};

use super::{Refusal, refusal};

/// Levels a value may be deep: the schema has some ten.
const DEEPEST: usize = 32;

/// Adds what of the value does not fit the schema. The value has its defaults already.
pub(super) fn check_value(schema: &Value, value: &Value, path: &str, refusals: &mut Vec<Refusal>) {
    check_level(schema, value, path, DEEPEST, refusals);
}

fn check_level(schema: &Value, value: &Value, path: &str, deeper: usize, refusals: &mut Vec<Refusal>) {
    let Some(deeper) = deeper.checked_sub(1) else {
        return refusals.push(refusal(path, "nested too deep"));
    };
    if let Some(wanted) = schema["type"].as_str()
        && !is_of(wanted, value)
    {
        let found = name_of(value);
        return refusals.push(refusal(
            path,
            format!("Invalid value: \"{found}\": {path} in body must be of type {wanted}: \"{found}\""),
        ));
    }
    check_enum(schema, value, path, refusals);
    match value {
        Value::Object(fields) => check_object(schema, fields, path, deeper, refusals),
        Value::Array(items) => check_list(schema, items, path, deeper, refusals),
        Value::String(text) => check_text(schema, text, path, refusals),
        Value::Number(_) => check_number(schema, value, path, refusals),
        Value::Bool(_) | Value::Null => {}
    }
}

/// The value without its nulls, which an apiserver drops before it looks for defaults
/// (<https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#defaulting-and-nullable>).
pub(super) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, field)| !field.is_null())
                .map(|(name, field)| (name.clone(), without_nulls(field)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

fn is_of(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => true,
    }
}

fn name_of(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "object",
        Value::Array(_) => "array",
        Value::String(_) => "string",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    }
}

fn check_enum(schema: &Value, value: &Value, path: &str, refusals: &mut Vec<Refusal>) {
    let Some(allowed) = schema["enum"].as_array() else { return };
    if !allowed.contains(value) {
        let names: Vec<_> = allowed.iter().filter(|one| !one.is_null()).map(ToString::to_string).collect();
        refusals.push(refusal(path, format!("Unsupported value: {value}: supported values: {}", names.join(", "))));
    }
}

fn check_object(schema: &Value, fields: &Map<String, Value>, path: &str, deeper: usize, refusals: &mut Vec<Refusal>) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            refusals.push(refusal(below(path, name), "Required value"));
        }
    }
    if let Some(most) = schema["maxProperties"].as_u64()
        && fields.len() as u64 > most
    {
        refusals.push(refusal(path, format!("Too many: {}: must have at most {most} items", fields.len())));
    }
    for (name, value) in fields {
        let place = below(path, name);
        if let Some(known) = schema["properties"].get(name) {
            check_level(known, value, &place, deeper, refusals);
        } else if schema["additionalProperties"].is_object() {
            check_level(&schema["additionalProperties"], value, &place, deeper, refusals);
        } else if schema["properties"].is_object()
            && schema["x-kubernetes-preserve-unknown-fields"] != true
            && !is_head(path, name)
        {
            refusals.push(refusal("", format!("strict decoding error: unknown field \"{place}\"")));
        }
    }
}

/// What every resource has, and its schema need not tell.
fn is_head(path: &str, name: &str) -> bool {
    path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name)
}

fn check_list(schema: &Value, items: &[Value], path: &str, deeper: usize, refusals: &mut Vec<Refusal>) {
    if let Some(most) = schema["maxItems"].as_u64()
        && items.len() as u64 > most
    {
        // An apiserver looks at no item of a list that is too long.
        return refusals.push(refusal(path, format!("Too many: {}: must have at most {most} items", items.len())));
    }
    if let Some(least) = schema["minItems"].as_u64()
        && (items.len() as u64) < least
    {
        let count = items.len();
        refusals
            .push(refusal(path, format!("Invalid value: {count}: {path} in body should have at least {least} items")));
    }
    check_repeats(schema, items, path, refusals);
    for (index, item) in items.iter().enumerate() {
        check_level(&schema["items"], item, &format!("{path}[{index}]"), deeper, refusals);
    }
}

fn check_repeats(schema: &Value, items: &[Value], path: &str, refusals: &mut Vec<Refusal>) {
    let keys: Vec<Value> = match schema["x-kubernetes-list-type"].as_str() {
        Some("set") => items.to_vec(),
        Some("map") => {
            let names: Vec<_> = schema["x-kubernetes-list-map-keys"].as_array().into_iter().flatten().collect();
            let key = |item: &Value| {
                names
                    .iter()
                    .filter_map(|name| Some((name.as_str()?.to_owned(), item.get(name.as_str()?)?.clone())))
                    .collect()
            };
            items.iter().map(|item| Value::Object(key(item))).collect()
        }
        _ => return,
    };
    for (index, key) in keys.iter().enumerate() {
        if keys[..index].contains(key) {
            refusals.push(refusal(format!("{path}[{index}]"), format!("Duplicate value: {key}")));
        }
    }
}

fn check_text(schema: &Value, text: &str, path: &str, refusals: &mut Vec<Refusal>) {
    let length = text.chars().count() as u64;
    if let Some(most) = schema["maxLength"].as_u64()
        && length > most
    {
        refusals.push(refusal(path, format!("Too long: may not be more than {most} bytes")));
    }
    if let Some(least) = schema["minLength"].as_u64()
        && length < least
    {
        let sentence = format!("Invalid value: \"{text}\": {path} in body should be at least {least} chars long");
        refusals.push(refusal(path, sentence));
    }
}

fn check_number(schema: &Value, value: &Value, path: &str, refusals: &mut Vec<Refusal>) {
    let Some(number) = value.as_f64() else { return };
    if let Some(least) = schema["minimum"].as_f64()
        && number < least
    {
        refusals.push(refusal(
            path,
            format!("Invalid value: {value}: {path} in body should be greater than or equal to {least}"),
        ));
    }
    if let Some(most) = schema["maximum"].as_f64()
        && number > most
    {
        refusals.push(refusal(
            path,
            format!("Invalid value: {value}: {path} in body should be less than or equal to {most}"),
        ));
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
