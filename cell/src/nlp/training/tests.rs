use super::*;

const FILE: &str = r#"version: "3.1"
nlu:
  - intent: book
    examples: |
      - a table in [Berlin](city)
      - a room in [NYC]{"entity": "city", "value": "New York"}
      - 88
  - intent: leave
    examples:
      - text: |
          - good bye
        metadata: {sentiment: neutral}
      - text: see you [soon]
      - text: no
  - synonym: earphones
    examples: |
      - headset
  - lookup: product
    examples: |
      - Earphones
  - regex: order_number
    examples: |
      - \b\d{8}\b
"#;

#[test]
fn every_kind_of_item_is_read() {
    let training = read("nlu.yml", FILE).unwrap();
    let examples: Vec<(&str, &str)> = training
        .examples
        .iter()
        .map(|example| (example.intent.as_str(), example.text.as_str()))
        .collect();
    assert_eq!(
        examples,
        [
            ("book", "a table in Berlin"),
            ("book", "a room in NYC"),
            ("book", "88"),
            ("leave", "good bye"),
            ("leave", "see you [soon]"),
            ("leave", "no"),
        ]
    );
    let lookup: Vec<(&str, &str, &str)> = training
        .lookup
        .iter()
        .map(|(text, value)| (text.as_str(), value.entity.as_str(), value.value.as_str()))
        .collect();
    assert_eq!(
        lookup,
        [
            ("berlin", "city", "Berlin"),
            ("earphones", "product", "Earphones"),
            ("headset", "product", "earphones"),
            ("nyc", "city", "New York"),
        ]
    );
    assert!(training.patterns[0].regex.is_match("订单号12345678，谢谢"));
}

#[test]
fn every_mistake_is_told_with_its_line() {
    let file = r#"version: "3.1"
nlu:
  - intent: book
    examples: |
      - a table
      a room
      - a seat
      -
      - a [chair]{"entity": 1}
  - intent: leave
    exampels: |
      - bye
  - intent: stay
    synonym: remain
    examples: |
      - stay
  - regex: order_number
    examples: |
      - (?<!\d)\d{8}
  - intent: eat
    examples: |
      - A Table!
      - food
      - [
      - more food
stories: []
"#;
    let findings = read("nlu.yml", file).unwrap_err();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    let expected = [
        ":6: expected `- ` before \"a room\"",
        ":8: the example is empty",
        ":9: [chair] is marked wrongly: invalid type: integer `1`",
        ":10: examples is missing",
        ":10: intent leave needs 3 examples",
        ":11: unknown key exampels",
        ":13: expected exactly one of intent, synonym, regex, lookup",
        ":19: regex order_number: look-around",
        ":22: \"A Table!\" is also an example of intent book on line 5",
        ":26: unknown key stories",
    ];
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.contains(expected), "expected {expected:?} in:\n{}", lines.join("\n"));
    }
    assert_eq!(lines.len(), expected.len(), "{}", lines.join("\n"));
}

#[test]
fn broken_yaml_is_one_finding() {
    let findings = read("nlu.yml", "version: 1\nnlu: [\n").unwrap_err();
    assert_eq!(findings.len(), 1);
    assert!(findings[0].problem.starts_with("not YAML"), "{}", findings[0]);
    assert!(findings[0].line > 1, "{}", findings[0]);
}
