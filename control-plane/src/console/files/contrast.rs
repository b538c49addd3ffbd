//! Every colour of text on every ground it is put on: 4.5 to 1 at least, and 3 to 1 for edges and
//! signs (WCAG 2.2, 1.4.3 and 1.4.11).

use std::collections::BTreeMap;

use super::STYLE;

const TEXT: [(&str, &str); 26] = [
    ("ink", "ground"),
    ("ink", "sheet"),
    ("soft", "ground"),
    ("soft", "sheet"),
    ("link", "ground"),
    ("link", "sheet"),
    ("link", "warn-ground"),
    ("link", "bad-ground"),
    ("link", "busy-ground"),
    ("on-key", "key"),
    ("good", "ground"),
    ("good", "sheet"),
    ("good", "good-ground"),
    ("busy", "busy-ground"),
    ("warn", "sheet"),
    ("warn", "warn-ground"),
    ("bad", "sheet"),
    ("bad", "ground"),
    ("bad", "bad-ground"),
    ("soft", "good-ground"),
    ("soft", "bad-ground"),
    ("soft", "warn-ground"),
    ("soft", "busy-ground"),
    ("warn", "good-ground"),
    ("warn", "bad-ground"),
    ("link", "good-ground"),
];
const EDGES: [(&str, &str); 3] = [("edge", "sheet"), ("edge", "ground"), ("key", "sheet")];

#[test]
fn text_can_be_read_in_both_themes() {
    let (light, dark) = STYLE.split_once("prefers-color-scheme: dark").unwrap();
    let light = colours(light);
    let mut other = light.clone();
    other.extend(colours(dark.split_once("\n}\n").unwrap().0));
    assert_eq!(light.len(), 17);
    for (theme, colours) in [("light", &light), ("dark", &other)] {
        for (pairs, least) in [(&TEXT[..], 4.5), (&EDGES[..], 3.0)] {
            for (text, ground) in pairs {
                let ratio = contrast(colours[text], colours[ground]);
                assert!(ratio >= least, "{theme}: {text} on {ground} is {ratio:.2}, not {least}");
            }
        }
    }
}

#[test]
fn contrast_is_counted_as_the_guidelines_do() {
    assert!((contrast(0x00_00_00, 0xff_ff_ff) - 21.0).abs() < 0.001);
    assert!((contrast(0x76_76_76, 0xff_ff_ff) - 4.54).abs() < 0.01);
}

fn colours(style: &str) -> BTreeMap<&str, u32> {
    let lines = style.lines().filter_map(|line| line.trim().strip_prefix("--"));
    let colours = lines.filter_map(|line| {
        let (name, value) = line.split_once(": #")?;
        Some((name, u32::from_str_radix(value.trim_end_matches(';'), 16).ok()?))
    });
    colours.collect()
}

fn contrast(one: u32, other: u32) -> f64 {
    let (one, other) = (luminance(one), luminance(other));
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(colour: u32) -> f64 {
    let [_, red, green, blue] = colour.to_be_bytes().map(|byte| {
        let part = f64::from(byte) / 255.0;
        if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    });
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}
