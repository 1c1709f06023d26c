//! The description of the API, made from its code; `docs/openapi.json` has it, too.

use std::sync::LazyLock;

use serde_json::{Value, json};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{Modify, OpenApi};

use super::body::{MAX_KEY_CHARS, MAX_LABELS, MAX_VALUE_CHARS, MIN_KEY_CHARS};
use super::error::ErrorBody;
use super::{account, networks, peerings, router};
use crate::declare::UNSEEN;

/// The ranges of control characters.
const CONTROL: [(char, char); 2] = [('\0', '\u{1f}'), ('\u{7f}', '\u{9f}')];
/// The ranges of white space that is neither control nor invisible.
const BLANK: [(char, char); 7] = [
    (' ', ' '),
    ('\u{a0}', '\u{a0}'),
    ('\u{1680}', '\u{1680}'),
    ('\u{2000}', '\u{200a}'),
    ('\u{202f}', '\u{202f}'),
    ('\u{205f}', '\u{205f}'),
    ('\u{3000}', '\u{3000}'),
];

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ovn-peerd",
        description = "Peerings between the OVN networks of two projects, by the consent of both. In the \
                       shape of UpCloud's API, so that its clients work here; `ovn_peerd` in an answer is \
                       what that does not have."
    ),
    paths(
        account::show,
        networks::list,
        networks::show,
        peerings::list,
        peerings::show,
        peerings::create,
        peerings::change,
        peerings::delete,
        router::description,
        router::ready
    ),
    components(schemas(ErrorBody)),
    modifiers(&Security),
    security(("bearer" = []), ("basic" = []))
)]
struct Description;

/// The ways to log in.
struct Security;

impl Modify for Security {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
        let components = openapi.components.get_or_insert_with(Default::default);
        for (name, scheme) in [("bearer", HttpAuthScheme::Bearer), ("basic", HttpAuthScheme::Basic)]
        {
            components.add_security_scheme(name, SecurityScheme::Http(Http::new(scheme)));
        }
    }
}

/// The name of a peering.
pub(super) fn name() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some(name_pattern()))
        .description(Some("Unique among the peerings of its network"))
        .into()
}

pub(super) fn configured_status() -> RefOr<Schema> {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["active", "disabled"]))
        .default(Some(json!("active")))
        .into()
}

/// Labels that a client sets.
pub(super) fn labels() -> RefOr<Schema> {
    let key = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(MIN_KEY_CHARS))
        .max_length(Some(MAX_KEY_CHARS))
        .pattern(Some("^[!-^`-~][!-~]*$"));
    let value = ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(MAX_VALUE_CHARS))
        .pattern(Some(format!("^[^{}]*$", class(&CONTROL))));
    let label = ObjectBuilder::new()
        .property("key", key)
        .property("value", value)
        .required("key")
        .required("value")
        .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(
            false,
        )));
    ArrayBuilder::new()
        .items(label)
        .max_items(Some(MAX_LABELS))
        .description(Some("Of two labels with one key the last one counts"))
        .into()
}

/// What a name of a peering fits: no control characters, nothing invisible, no blank at its ends.
fn name_pattern() -> String {
    let inner = class(&[&CONTROL[..], &UNSEEN[..]].concat());
    let outer = class(&[&CONTROL[..], &UNSEEN[..], &BLANK[..]].concat());
    format!("^[^{outer}]([^{inner}]*[^{outer}])?$")
}

/// The inside of a class of characters, of their ranges.
fn class(ranges: &[(char, char)]) -> String {
    let letter = |letter: &char| match u32::from(*letter) {
        code @ ..=0xffff => format!("\\u{code:04x}"),
        _ => letter.to_string(),
    };
    let range = |(first, last): &(char, char)| match first == last {
        true => letter(first),
        false => format!("{}-{}", letter(first), letter(last)),
    };
    ranges.iter().map(range).collect()
}

/// The description as JSON.
#[must_use]
pub fn openapi() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let mut value = serde_json::to_value(Description::openapi()).unwrap_or_default();
        complete(&mut value);
        let text = serde_json::to_string_pretty(&value).unwrap_or_default();
        text + "\n"
    });
    &TEXT
}

/// Which errors an endpoint may answer: those of every endpoint behind a login, and its own.
fn errors(path: &str, method: &str) -> Vec<(u16, &'static str)> {
    let mut all = Vec::new();
    if path.starts_with("/1.3/") {
        all.extend([
            (400, "The request is not understood"),
            (401, "No token has this secret"),
            (429, "Asked too often, of this token or from this address; `Retry-After` says how long to wait"),
            (503, "The daemon or the northbound cannot answer now"),
        ]);
    }
    if path.ends_with("{uuid}") || method == "post" {
        all.push((404, "The token has no such network or peering"));
    }
    if matches!(method, "post" | "patch" | "delete") {
        all.extend([
            (403, "The token may not do it"),
            (409, "Something is in the way: `error_code` says what"),
        ]);
    }
    if matches!(method, "patch" | "delete") {
        all.push((412, "It has changed meanwhile"));
    }
    if matches!(method, "post" | "patch") {
        all.extend([(413, "The body is too large"), (415, "The body is not JSON")]);
    }
    all
}

fn complete(description: &mut Value) {
    let Some(paths) = description.get_mut("paths").and_then(Value::as_object_mut) else { return };
    for (path, methods) in paths {
        for (method, operation) in methods.as_object_mut().into_iter().flatten() {
            for parameter in
                operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten()
            {
                present(parameter);
            }
            let Some(responses) = operation.get_mut("responses").and_then(Value::as_object_mut)
            else {
                continue;
            };
            for (status, description) in errors(path, method) {
                let schema = json!({"schema": {"$ref": "#/components/schemas/Error"}});
                let content = json!({"application/json": schema});
                let response = match status {
                    429 => json!({
                        "description": description,
                        "content": content,
                        "headers": {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}},
                    }),
                    _ => json!({"description": description, "content": content}),
                };
                responses.insert(status.to_string(), response);
            }
        }
    }
}

/// A parameter may be absent, but there is no null in a path, a query or a header.
fn present(parameter: &mut Value) {
    let Some(kind) = parameter.pointer_mut("/schema/type") else { return };
    let of = kind.as_array().and_then(|all| all.iter().find(|it| **it != "null")).cloned();
    if let Some(of) = of {
        *kind = of;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declare::name_fault;

    /// The pattern in words of its own: the ranges that it is made of.
    #[test]
    fn the_pattern_of_names_is_the_rule_for_names() {
        let within = |letter: char, ranges: &[(char, char)]| {
            ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter))
        };
        let beyond =
            ['\u{1bc00}'..='\u{1bd00}', '\u{1d100}'..='\u{1d200}', '\u{dff00}'..='\u{e1100}'];
        for letter in ('\0'..='\u{ffff}').chain(beyond.into_iter().flatten()) {
            let inner = !within(letter, &CONTROL) && !within(letter, &UNSEEN);
            let outer = inner && !within(letter, &BLANK);
            assert_eq!(name_fault(&format!("a{letter}b")).is_none(), inner, "{letter:?}");
            assert_eq!(name_fault(&letter.to_string()).is_none(), outer, "{letter:?}");
        }
    }
}
