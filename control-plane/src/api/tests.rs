mod fits;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use fits::misfit;

use super::*;

#[test]
fn every_route_is_in_the_document_and_the_other_way_round() {
    let (router, paths, _) = calls().parts();
    let shown = format!("{router:?}");
    // What the router falls back to has names of its own there.
    let answered: BTreeSet<&str> =
        shown.split('"').filter(|text| text.starts_with("/v1/")).collect();
    let told: BTreeSet<&str> = paths.keys().map(String::as_str).collect();
    assert_eq!(answered, told);
    assert!(told.contains("/v1/cells/{id}/switchover"), "{told:?}");
}

#[test]
fn every_call_says_what_it_is_and_shows_what_it_takes() {
    let (_, paths, schemas) = calls().parts();
    for (path, methods) in &paths {
        for (method, call) in methods.as_object().unwrap() {
            assert!(!call["summary"].as_str().unwrap().is_empty(), "{method} {path}");
            assert!(call["responses"].get("401").is_some(), "{method} {path}");
            let body = call.get("requestBody");
            assert_eq!(body.is_some(), method != "get", "{method} {path}");
        }
    }
    let text = serde_json::to_string(&paths).unwrap();
    for name in text.split("#/components/schemas/").skip(1) {
        let name = name.split('"').next().unwrap();
        assert!(schemas.get(name).is_some(), "{name} is not among the schemas");
    }
}

#[test]
fn every_answer_is_shown_as_its_schema_says() {
    let (_, paths, schemas) = calls().parts();
    for (call, response) in responses(&paths) {
        for (kind, content) in response["content"].as_object().into_iter().flatten() {
            let shown: Vec<&serde_json::Value> = match content["examples"].as_object() {
                Some(examples) => examples.values().map(|example| &example["value"]).collect(),
                None => content.get("example").into_iter().collect(),
            };
            assert!(!shown.is_empty(), "{call} shows no {kind}");
            for example in shown {
                let misfit = misfit(example, &content["schema"], &schemas);
                assert_eq!(misfit, None, "{call}, {kind}: {example}");
            }
        }
    }
}

#[test]
fn every_problem_is_of_a_call_or_of_what_is_none() {
    let (_, paths, _) = calls().parts();
    let of_calls: Vec<String> = responses(&paths)
        .filter_map(|(_, response)| {
            let examples = &response["content"]["application/problem+json"]["examples"];
            examples.as_object().map(|examples| examples.keys().cloned().collect::<Vec<_>>())
        })
        .flatten()
        .collect();
    for kind in problem::KINDS {
        let is_elsewhere = openapi::ELSEWHERE.contains(&kind);
        let is_of_a_call = of_calls.iter().any(|code| code == kind.code);
        assert_ne!(is_of_a_call, is_elsewhere, "{}", kind.code);
    }
}

/// Every response, with the call and the status.
fn responses(
    paths: &serde_json::Map<String, serde_json::Value>,
) -> impl Iterator<Item = (String, &serde_json::Value)> {
    let calls = paths.iter().flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().iter();
        methods.map(move |(method, call)| (format!("{method} {path}"), call))
    });
    calls.flat_map(|(name, call)| {
        let responses = call["responses"].as_object().unwrap().iter();
        responses.map(move |(status, response)| (format!("{name} {status}"), response))
    })
}

/// The tests of `tests/it` ask a real control plane, over HTTP.
#[test]
fn every_problem_is_provoked_by_a_test() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    let mut all = String::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|end| end == "rs") {
            all += &fs::read_to_string(&path).unwrap();
        }
    }
    let codes = problem::KINDS.iter().map(|kind| kind.code);
    let missing: Vec<&str> = codes.filter(|code| !all.contains(&format!("\"{code}\""))).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
