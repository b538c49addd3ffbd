//! A call as the document has it. It is added together with what answers it, so that neither can go
//! without the other.

use axum::Router;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, on};
use schemars::JsonSchema;
use schemars::r#gen::{SchemaGenerator, SchemaSettings};
use schemars::schema::Schema;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::Api;
use super::problem::{self, Kind};
use crate::levers::preview::BrokenRule;

/// What any call may answer.
const ALWAYS: [&Kind; 4] = [
    &problem::TOKEN_MISSING,
    &problem::TOKEN_MALFORMED,
    &problem::TOKEN_UNKNOWN,
    &problem::TOO_MANY,
];
/// What any write may answer besides.
const ON_WRITES: [&Kind; 5] = [
    &problem::INVALID,
    &problem::ROLE_INSUFFICIENT,
    &problem::TOO_LONG,
    &problem::STOPPING,
    &problem::ETCD_UNREACHABLE,
];

type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Everything the document says of a call.
pub(super) struct Call {
    method: Method,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
    about: &'static str,
    parameters: Vec<Value>,
    query: Option<SchemaOf>,
    takes: Option<(SchemaOf, Value)>,
    answers: Vec<Answer>,
    headers: Map<String, Value>,
    /// Whoever has seen the answer need not be sent it again.
    is_tagged: bool,
    problems: &'static [&'static Kind],
}

struct Answer {
    status: u16,
    about: &'static str,
    content: &'static str,
    schema: SchemaOf,
    example: Value,
}

impl Call {
    pub(super) fn get(path: &'static str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(super) fn post(path: &'static str) -> Self {
        Self::new(Method::POST, path)
    }

    pub(super) fn put(path: &'static str) -> Self {
        Self::new(Method::PUT, path)
    }

    fn new(method: Method, path: &'static str) -> Self {
        Self {
            method,
            path,
            tag: "",
            summary: "",
            about: "",
            parameters: Vec::new(),
            query: None,
            takes: None,
            answers: Vec::new(),
            headers: Map::new(),
            is_tagged: false,
            problems: &[],
        }
    }

    /// Says where it belongs, and what it does in a sentence.
    pub(super) fn of(self, tag: &'static str, summary: &'static str) -> Self {
        Self { tag, summary, ..self }
    }

    /// Says the rest of what it does.
    pub(super) fn about(self, about: &'static str) -> Self {
        Self { about, ..self }
    }

    /// Says what the `{id}` in its path is.
    pub(super) fn id(self, about: &str) -> Self {
        self.parameter(json!({ "name": "id", "in": "path", "required": true, "description": about,
            "schema": { "type": "string" } }))
    }

    pub(super) fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Takes each field of `T` in its query.
    pub(super) fn query<T: JsonSchema>(self) -> Self {
        Self { query: Some(T::json_schema), ..self }
    }

    pub(super) fn takes<T: JsonSchema>(self, example: Value) -> Self {
        Self { takes: Some((SchemaGenerator::subschema_for::<T>, example)), ..self }
    }

    /// Answers with such a value. The example is one, so that it cannot be of an earlier version.
    pub(super) fn answers<T: JsonSchema + Serialize>(
        self,
        about: &'static str,
        example: &T,
    ) -> Self {
        self.answers_as("application/json", about, example)
    }

    pub(super) fn answers_as<T: JsonSchema + Serialize>(
        mut self,
        content: &'static str,
        about: &'static str,
        example: &T,
    ) -> Self {
        let (schema, example) = (SchemaGenerator::subschema_for::<T>, plain(example));
        self.answers.push(Answer { status: 200, about, content, schema, example });
        self
    }

    /// The last kind of answer comes before what was asked for is done.
    pub(super) fn accepted(mut self) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.status = 202;
        }
        self
    }

    /// Has a tag, and does not answer again with what was seen.
    pub(super) fn etag(self, about: &'static str) -> Self {
        Self { is_tagged: true, ..self.tag(about).aged() }
    }

    /// Has a tag for `If-Match`.
    pub(super) fn tag(self, about: &'static str) -> Self {
        self.header("ETag", json!({ "description": about, "schema": { "type": "string" } }))
    }

    /// Is answered from memory, and says how old that is.
    pub(super) fn aged(self) -> Self {
        let about = "How many seconds ago etcd was read";
        let seconds = json!({ "type": "integer", "minimum": 0 });
        self.header("Age", json!({ "description": about, "schema": seconds }))
    }

    fn header(mut self, name: &str, told: Value) -> Self {
        self.headers.insert(name.to_owned(), told);
        self
    }

    /// Answers these problems besides those that every call may.
    pub(super) fn problems(self, problems: &'static [&'static Kind]) -> Self {
        Self { problems, ..self }
    }
}

/// All calls, with what answers each.
pub(super) struct Calls {
    router: Router<Api>,
    paths: Map<String, Value>,
    schemas: SchemaGenerator,
}

impl Default for Calls {
    fn default() -> Self {
        let settings = SchemaSettings::draft07().with(|settings| {
            "#/components/schemas/".clone_into(&mut settings.definitions_path);
            settings.meta_schema = None;
        });
        Self { router: Router::new(), paths: Map::new(), schemas: settings.into_generator() }
    }
}

impl Calls {
    /// Adds a call and what answers it.
    pub(super) fn add<H, T>(mut self, call: Call, handler: H) -> Self
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        let filter = MethodFilter::try_from(call.method.clone()).expect("a method of HTTP");
        self.router = self.router.route(call.path, on(filter, handler));
        let (path, method) = (call.path, call.method.as_str().to_lowercase());
        let told = self.told(call);
        self.paths.entry(path).or_insert_with(|| json!({}))[method] = told;
        self
    }

    /// Returns the routes, the paths of the document, and its schemas.
    pub(super) fn parts(mut self) -> (Router<Api>, Map<String, Value>, Value) {
        let problem = self.schemas.subschema_for::<ProblemDocument>();
        drop(problem);
        let schemas = plain(self.schemas.definitions());
        (self.router, self.paths, schemas)
    }

    fn told(&mut self, call: Call) -> Value {
        let is_read = call.method == Method::GET;
        let mut parameters = call.parameters;
        parameters
            .extend(call.query.into_iter().flat_map(|of| query(&plain(&of(&mut self.schemas)))));
        let mut responses = Map::new();
        for Answer { status, about, content, schema, example } in call.answers {
            let body = json!({ "schema": schema(&mut self.schemas), "example": example });
            let response = responses.entry(status.to_string()).or_insert_with(|| json!({}));
            response["description"] = about.into();
            response["content"][content] = body;
        }
        if !call.headers.is_empty() {
            responses["200"]["headers"] = Value::Object(call.headers.clone());
        }
        if call.is_tagged {
            let text = json!({ "type": "string" });
            parameters.push(json!({ "name": "If-None-Match", "in": "header", "required": false,
                "description": "ETags that were seen", "schema": text }));
            let about = "It is as it was seen";
            let unchanged = json!({ "description": about, "headers": call.headers });
            responses.insert("304".to_owned(), unchanged);
        }
        let on_writes: &[&Kind] = if is_read { &[] } else { &ON_WRITES };
        let may: Vec<&Kind> = [&ALWAYS, on_writes, call.problems].concat();
        for kind in problem::KINDS.iter().filter(|kind| may.contains(kind)) {
            refuse(&mut responses, kind);
        }
        let mut told = json!({
            "tags": [call.tag], "summary": call.summary, "description": call.about,
            "operationId": name(&call.method, call.path),
            "parameters": parameters, "responses": responses,
        });
        if let Some((schema, example)) = call.takes {
            let content = json!({ "schema": schema(&mut self.schemas), "example": example });
            told["requestBody"] =
                json!({ "required": true, "content": { "application/json": content } });
        }
        told
    }
}

/// What went wrong (RFC 9457).
#[derive(JsonSchema)]
#[schemars(rename = "Problem")]
#[expect(dead_code, reason = "describes `runtime::Problem`, which knows of no document")]
struct ProblemDocument {
    /// The address of a page about this type of problem.
    r#type: String,
    title: String,
    status: u16,
    /// For programs: the last part of `type`.
    code: String,
    detail: Option<String>,
    /// Each wrong value in the request's body.
    #[serde(default)]
    errors: Vec<FieldErrorDocument>,
    /// Every safety rule that stands in the way, where one does.
    #[serde(default)]
    rules: Vec<BrokenRule>,
    /// The operation that it is about, that is in the way, or that goes on all the same.
    operation: Option<String>,
    /// The entry of the audit log in which the outcome will be.
    audit: Option<String>,
    /// The least role that may do this.
    required_role: Option<String>,
    /// The tag of what there is now.
    etag: Option<String>,
    /// The epoch under which the target is being promoted.
    epoch: Option<u64>,
}

#[derive(JsonSchema)]
#[schemars(rename = "FieldError")]
#[expect(dead_code, reason = "describes `runtime::problem::FieldError`")]
struct FieldErrorDocument {
    /// RFC 6901, into the request's body.
    pointer: String,
    detail: String,
}

/// Adds a type of problem to what is answered with its status.
pub(super) fn refuse(responses: &mut Map<String, Value>, kind: &Kind) {
    let response = responses.entry(kind.status.to_string()).or_insert_with(|| {
        let schema = json!({ "$ref": "#/components/schemas/Problem" });
        let problems = json!({ "schema": schema, "examples": {} });
        json!({ "description": "", "content": { "application/problem+json": problems } })
    });
    let text = response["description"].as_str().unwrap_or_default();
    let end = if text.is_empty() { "" } else { "\n\n" };
    response["description"] = format!("{text}{end}`{}`: {}.", kind.code, kind.title).into();
    let shown = problem::example::of(kind);
    let example = json!({ "summary": kind.title, "value": shown });
    response["content"]["application/problem+json"]["examples"][kind.code] = example;
}

/// Returns a parameter for each property of an object.
fn query(of: &Value) -> Vec<Value> {
    let required = of["required"].as_array().cloned().unwrap_or_default();
    let properties = of["properties"].as_object().into_iter().flatten();
    let parameters = properties.map(|(name, schema)| {
        let mut schema = schema.clone();
        let about = schema.as_object_mut().and_then(|schema| schema.remove("description"));
        // A query says that there is no value by not naming it.
        if let Some(types) = schema["type"].as_array() {
            schema["type"] = types.first().cloned().unwrap_or_default();
        }
        json!({ "name": name, "in": "query", "required": required.contains(&json!(name)),
            "description": about, "schema": schema })
    });
    parameters.collect()
}

/// A name for programs: `get_cells_id`.
fn name(method: &Method, path: &str) -> String {
    let words = path.trim_start_matches("/v1/").split(['/', '-']);
    let words = words.map(|word| word.trim_matches(['{', '}']));
    let method = method.as_str().to_lowercase();
    std::iter::once(method.as_str()).chain(words).collect::<Vec<_>>().join("_")
}

fn plain(told: &impl Serialize) -> Value {
    serde_json::to_value(told).expect("schemas and answers are plain JSON")
}
