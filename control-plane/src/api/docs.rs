//! Pages of the API's document for people: plain HTML, made from the document alone.

use std::fmt::Write as _;

use serde_json::Value;

use super::problem::{KINDS, Kind};

/// Appends to a string, which takes any text.
macro_rules! add {
    ($to:expr, $($text:tt)*) => { write!($to, $($text)*).expect("a string takes any text") };
}

const STYLE: &str = include_str!("docs.css");

/// Returns the page of the whole document.
pub(super) fn page(document: &Value) -> String {
    let mut body = String::new();
    add!(
        body,
        "<h1>{}</h1><p>{}</p>",
        text(&document["info"]["title"]),
        text(&document["info"]["description"])
    );
    add!(
        body,
        "<p>The document for programs: <a href=\"/v1/openapi.json\">/v1/openapi.json</a>.</p>"
    );
    for tag in document["tags"].as_array().into_iter().flatten() {
        add!(body, "<section><h2>{}</h2><p>{}</p>", text(&tag["name"]), text(&tag["description"]));
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, call) in methods.as_object().into_iter().flatten() {
                if call["tags"][0] == tag["name"] {
                    add_call(&mut body, path, method, call);
                }
            }
        }
        body.push_str("</section>");
    }
    body.push_str("<section><h2>schemas</h2>");
    for (name, schema) in document["components"]["schemas"].as_object().into_iter().flatten() {
        let (name, json) = (escaped(name), escaped(&format!("{schema:#}")));
        add!(body, "<details id=\"{name}\"><summary>{name}</summary><pre>{json}</pre></details>");
    }
    body.push_str("</section><section><h2>problems</h2><ul>");
    for Kind { code, status, title, .. } in KINDS {
        add!(
            body,
            "<li><a href=\"/problems/{code}\"><code>{code}</code></a> {status} {title}</li>"
        );
    }
    body.push_str("</ul></section>");
    whole("Bulkhead control plane: the API", &body)
}

/// Returns the page at a problem's type.
pub(super) fn problem_page(kind: &Kind) -> String {
    let Kind { code, status, title, about } = kind;
    let about = escaped(about);
    let body = format!(
        "<h1>{title}</h1><p><code>{code}</code>, status {status}</p><p>{about}</p>\
         <p><a href=\"/docs\">All calls and problems</a></p>"
    );
    whole(title, &body)
}

fn add_call(body: &mut String, path: &str, method: &str, call: &Value) {
    let method = method.to_uppercase();
    let (path, summary) = (escaped(path), text(&call["summary"]));
    add!(
        body,
        "<details><summary><b>{method}</b> <code>{path}</code> {summary}</summary><p>{}</p>",
        text(&call["description"])
    );
    let parameters = call["parameters"].as_array().into_iter().flatten();
    let rows: Vec<String> = parameters
        .map(|parameter| {
            let (name, place) = (text(&parameter["name"]), text(&parameter["in"]));
            let about = text(&parameter["description"]);
            format!("<tr><td><code>{name}</code></td><td>{place}</td><td>{about}</td></tr>")
        })
        .collect();
    if !rows.is_empty() {
        add!(body, "<h3>Parameters</h3><table>{}</table>", rows.concat());
    }
    if let Some(asked) = call.get("requestBody") {
        add!(body, "<h3>Body</h3>{}", content(asked));
    }
    body.push_str("<h3>Answers</h3><dl>");
    for (status, response) in call["responses"].as_object().into_iter().flatten() {
        let about = text(&response["description"]).replace("\n\n", "<br>");
        add!(body, "<dt>{}</dt><dd>{about}{}</dd>", escaped(status), content(response));
    }
    body.push_str("</dl></details>");
}

/// Returns the schema and the one example of a body; problems have their own pages.
fn content(of: &Value) -> String {
    let types = of["content"].as_object().into_iter().flatten();
    let told: Vec<String> = types
        .filter(|(kind, _)| *kind != "application/problem+json")
        .map(|(kind, content)| {
            let kind = escaped(kind);
            let schema =
                content["schema"]["$ref"].as_str().and_then(|name| name.rsplit('/').next());
            let schema = schema
                .map(escaped)
                .map_or_else(String::new, |name| format!(": <a href=\"#{name}\">{name}</a>"));
            let example = content.get("example").map_or_else(String::new, |example| {
                format!("<pre>{}</pre>", escaped(&format!("{example:#}")))
            });
            format!("<p><code>{kind}</code>{schema}</p>{example}")
        })
        .collect();
    told.concat()
}

fn whole(title: &str, body: &str) -> String {
    let title = escaped(title);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body><main>{body}</main></body></html>"
    )
}

fn text(value: &Value) -> String {
    value.as_str().map(escaped).unwrap_or_default()
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            other => safe.push(other),
        }
    }
    safe
}
