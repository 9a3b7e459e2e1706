//! Names of units as tables write them: which are the same.

/// Whether two names are those of one unit, whatever their spelling.
///
/// # Example
/// ```
/// use sequela_formats::units::same;
/// assert!(same("mg/dL", "MG/DL") && same("°C", "Deg. C") && same("/min", "bpm"));
/// assert!(!same("mmol/L", "mg/dL"));
/// ```
pub fn same(a: &str, b: &str) -> bool {
    a == b
        || match (standard(a), standard(b)) {
            (Some(a), Some(b)) => a == b,
            (None, None) => plain(a) == plain(b),
            _ => false,
        }
}

/// The usual spelling of a unit; `None` for a word that is not known as one.
///
/// # Example
/// ```
/// use sequela_formats::units::standard;
/// assert_eq!(standard("deg f"), Some("F"));
/// assert_eq!(standard("Smith"), None);
/// ```
pub fn standard(unit: &str) -> Option<&'static str> {
    let wanted = plain(unit);
    let found = UNITS.iter().find(|(_, spellings)| spellings.contains(&wanted.as_str()));
    found.map(|(name, _)| *name)
}

/// Small letters without spaces, dots and degree signs.
fn plain(unit: &str) -> String {
    let kept = unit.chars().filter(|c| !c.is_whitespace() && !matches!(c, '.' | '°' | '^' | '*'));
    kept.flat_map(char::to_lowercase).map(|c| if c == 'μ' || c == 'µ' { 'u' } else { c }).collect()
}

/// The usual spelling, and what [`plain`] makes of the others.
const UNITS: [(&str, &[&str]); 38] = [
    ("%", &["%", "percent", "pct"]),
    ("C", &["c", "degc", "degreesc", "celsius", "cel"]),
    ("F", &["f", "degf", "degreesf", "fahrenheit"]),
    (
        "bpm",
        &["bpm", "beats/min", "breaths/min", "/min", "1/min", "min-1", "insp/min", "beats/minute"],
    ),
    ("mmHg", &["mmhg", "mm[hg]", "torr"]),
    ("kPa", &["kpa"]),
    ("cmH2O", &["cmh2o", "cmh20"]),
    ("mg/dL", &["mg/dl", "mg/100ml", "mg%"]),
    ("g/dL", &["g/dl", "gm/dl", "g%"]),
    ("g/L", &["g/l", "gm/l"]),
    ("mg/L", &["mg/l"]),
    ("ug/L", &["ug/l", "mcg/l", "ng/ml"]),
    ("ug/dL", &["ug/dl", "mcg/dl"]),
    ("ng/L", &["ng/l", "pg/ml"]),
    ("mmol/L", &["mmol/l", "mm/l", "mmoles/l"]),
    ("mEq/L", &["meq/l"]),
    ("umol/L", &["umol/l", "mcmol/l"]),
    ("mmol/dL", &["mmol/dl"]),
    ("IU/L", &["iu/l", "u/l", "units/l"]),
    (
        "10^3/uL",
        &[
            "103/ul",
            "k/mcl",
            "k/ul",
            "10e3/ul",
            "cells/nl",
            "109/l",
            "10e9/l",
            "thous/mcl",
            "k/mm3",
            "x103/ul",
        ],
    ),
    ("10^6/uL", &["106/ul", "m/mcl", "m/ul", "10e6/ul", "1012/l"]),
    ("mm3", &["mm3", "/mm3", "cells/ul"]),
    ("mL", &["ml", "cc"]),
    ("L", &["l", "liter", "litre"]),
    ("mL/h", &["ml/h", "ml/hr"]),
    ("L/min", &["l/min", "lpm"]),
    ("kg", &["kg", "kilogram"]),
    ("g", &["g", "gram"]),
    ("lb", &["lb", "lbs", "pound"]),
    ("cm", &["cm"]),
    ("m", &["m", "meter", "metre"]),
    ("in", &["in", "inch", "inches"]),
    ("s", &["s", "sec", "seconds"]),
    ("ms", &["ms", "msec"]),
    ("h", &["h", "hr", "hours"]),
    ("years", &["years", "yr", "year"]),
    ("mV", &["mv"]),
    ("ratio", &["ratio", "fraction", "inr"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_belongs_to_two_units() {
        let mut all: Vec<&str> =
            UNITS.iter().flat_map(|(_, spellings)| *spellings).copied().collect();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        for (name, spellings) in UNITS {
            assert_eq!(standard(name), Some(name));
            assert!(spellings.iter().all(|spelling| plain(spelling) == *spelling), "{name}");
        }
    }

    #[test]
    fn words_that_are_no_units_are_compared_as_they_are() {
        assert!(same("AU", "a.u."));
        assert!(!same("AU", "mg/dL"));
        assert!(same("", ""));
    }
}
