//! Where public data sets can be fetched, and what their files have to be.
//!
//! Each file of `sources/` is one set:
//!
//! ```text
//! # a remark
//! from https://example.org/files/       the address that names are appended to
//! SHA256 BYTES NAME [NAME-AT-THE-ADDRESS]
//! - - NAME                              a file of which no digest is known
//! list SHA256SUMS.txt                   digests are taken from this list of the publisher's
//! take *.hea                            and these of its files are fetched
//! ```
//!
//! Digests were measured on files that are known to be whole; none is made up.

use crate::Error;

/// A file of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path in the folder of the set.
    pub name: String,
    /// Its path at the address.
    pub remote: String,
    /// Its SHA-256 in hexadecimal, where it is known.
    pub sha256: Option<String>,
    /// Its bytes, where they are known.
    pub bytes: Option<u64>,
}

/// How it is known that files are what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Check {
    /// By a digest that sequela holds.
    Digest,
    /// By a digest that the publisher's list gives, fetched beside the files.
    PublisherList,
    /// Not at all: no digest is known. The one of what came is told.
    Nothing,
}

impl Check {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Digest => "SHA-256",
            Self::PublisherList => "publisher's list",
            Self::Nothing => "not verified",
        }
    }
}

/// Where a set can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The name of the set and of its folder.
    pub name: String,
    /// What the names of files are appended to; it ends with a slash.
    pub from: String,
    /// The files, where they are known beforehand.
    pub files: Vec<SourceFile>,
    /// The publisher's list of digests, and patterns of the files to take from it.
    pub list: Option<(String, Vec<String>)>,
}

impl Source {
    /// The source of a set.
    ///
    /// # Errors
    /// [`Error::NoSource`] where it cannot be fetched, saying why and what to do.
    ///
    /// # Example
    /// ```
    /// use sequela_data::datasets::{Check, Source};
    /// let source = Source::of("pbc2")?;
    /// assert_eq!((source.files.len(), source.check()), (1, Check::Digest));
    /// let refused = Source::of("mimic-iv").unwrap_err();
    /// assert!(refused.to_string().contains("https://physionet.org/content/mimiciv/"));
    /// # Ok::<(), sequela_data::Error>(())
    /// ```
    pub fn of(name: &str) -> Result<Self, Error> {
        let refuse = |what: &str, hint: String| {
            Err(Error::NoSource { name: name.to_owned(), what: what.to_owned(), hint })
        };
        if let Some((_, text)) = SOURCES.iter().find(|(known, _)| *known == name) {
            return Self::parse(name, text).ok_or_else(|| Error::NoSource {
                name: name.to_owned(),
                what: "its list of files cannot be read".to_owned(),
                hint: "report this as a bug".to_owned(),
            });
        }
        if let Some((_, address)) = SIGNED.iter().find(|(known, _)| *known == name) {
            let hint =
                format!("apply at {address}, then put the files into the folder of data sets");
            return refuse("its users sign an agreement, so it cannot be fetched for you", hint);
        }
        if let Some((_, what)) = ASSEMBLED.iter().find(|(known, _)| *known == name) {
            return refuse(what, "put its files into the folder of data sets".to_owned());
        }
        refuse("it is not known", "see the names in `sequela data list`".to_owned())
    }

    /// Reads the description of a source; `None` where it breaks the rules above.
    pub fn parse(name: &str, text: &str) -> Option<Self> {
        let (mut from, mut files, mut list, mut take) = (None, Vec::new(), None, Vec::new());
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = line.split(' ');
            match (words.next()?, words.next()?) {
                ("from", address) => from = Some(address.to_owned()),
                ("list", name) => list = Some(name.to_owned()),
                ("take", pattern) => take.push(pattern.to_owned()),
                (sha256, bytes) => {
                    let name = words.next()?;
                    files.push(SourceFile {
                        name: safe(name)?.to_owned(),
                        remote: words.next().unwrap_or(name).to_owned(),
                        sha256: if sha256 == "-" { None } else { Some(digest(sha256)?) },
                        bytes: if bytes == "-" { None } else { Some(bytes.parse().ok()?) },
                    });
                }
            }
            if words.next().is_some() {
                return None;
            }
        }
        let from = from.filter(|address| address.ends_with('/'))?;
        Some(Self { name: name.to_owned(), from, files, list: list.map(|list| (list, take)) })
    }

    /// How its files are checked; where they are checked in several ways, the weakest.
    pub fn check(&self) -> Check {
        if self.files.iter().any(|file| file.sha256.is_none()) {
            Check::Nothing
        } else if self.list.is_some() {
            Check::PublisherList
        } else {
            Check::Digest
        }
    }

    /// Bytes of all files, where they are known.
    pub fn bytes(&self) -> Option<u64> {
        if self.list.is_some() { None } else { self.files.iter().map(|file| file.bytes).sum() }
    }

    /// The files that the publisher's list names and the patterns take.
    ///
    /// # Errors
    /// [`Error::Fetch`] where a pattern takes none of them.
    pub fn listed(&self, text: &str) -> Result<Vec<SourceFile>, Error> {
        let Some((list, patterns)) = &self.list else { return Ok(Vec::new()) };
        let entries: Vec<(&str, &str)> = text
            .lines()
            .filter_map(|line| line.split_once(char::is_whitespace))
            // A star before the name says that the digest is of the bytes, not of lines.
            .map(|(sha256, name)| (sha256, name.trim().trim_start_matches(['*', ' '])))
            .collect();
        let mut files = Vec::new();
        for pattern in patterns {
            let before = files.len();
            files.extend(entries.iter().filter(|(_, name)| fits(pattern, name)).filter_map(
                |(sha256, name)| {
                    let (name, sha256) = (safe(name)?.to_owned(), Some(digest(sha256)?));
                    Some(SourceFile { remote: name.clone(), name, sha256, bytes: None })
                },
            ));
            if files.len() == before {
                return Err(Error::Fetch {
                    place: format!("{}{list}", self.from),
                    what: format!("the list has no digest for {pattern}"),
                    hint: "the publisher may have moved the files: see the set's own page".into(),
                });
            }
        }
        Ok(files)
    }
}

/// The sets that can be fetched, sorted by name.
pub fn sources() -> impl Iterator<Item = &'static str> {
    SOURCES.iter().map(|(name, _)| *name)
}

/// A path that stays inside its folder.
fn safe(name: &str) -> Option<&str> {
    let sound = |part: &str| !part.is_empty() && !part.starts_with('.');
    let letters = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
    (name.split('/').all(sound) && name.chars().all(letters)).then_some(name)
}

fn digest(text: &str) -> Option<String> {
    let sound = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    sound.then(|| text.to_ascii_lowercase())
}

/// Whether a pattern with at most one star, which stands for anything but a slash, fits a name.
fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    name.strip_prefix(before)
        .and_then(|rest| rest.strip_suffix(after))
        .is_some_and(|middle| !middle.contains('/'))
}

/// Name and description of each, sorted.
const SOURCES: [(&str, &str); 19] = [
    ("dicom_samples", include_str!("sources/dicom_samples.txt")),
    ("heart_rate", include_str!("sources/heart_rate.txt")),
    ("icu_open_demos", include_str!("sources/icu_open_demos.txt")),
    ("medmnist_pneumonia", include_str!("sources/medmnist_pneumonia.txt")),
    ("meds_sample", include_str!("sources/meds_sample.txt")),
    ("mitbih", include_str!("sources/mitbih.txt")),
    ("moleculenet", include_str!("sources/moleculenet.txt")),
    ("omop_synthea27nj", include_str!("sources/omop_synthea27nj.txt")),
    ("onnx_rnn", include_str!("sources/onnx_rnn.txt")),
    ("parkinsons_telemonitoring", include_str!("sources/parkinsons_telemonitoring.txt")),
    ("pbc2", include_str!("sources/pbc2.txt")),
    ("peptides", include_str!("sources/peptides.txt")),
    ("physionet2012", include_str!("sources/physionet2012.txt")),
    ("physionet2019", include_str!("sources/physionet2019.txt")),
    ("tmbed_sp_tm", include_str!("sources/tmbed_sp_tm.txt")),
    ("uci_diabetes", include_str!("sources/uci_diabetes.txt")),
    ("uci_promoters", include_str!("sources/uci_promoters.txt")),
    ("uci_splice", include_str!("sources/uci_splice.txt")),
    ("wfdb_formats", include_str!("sources/wfdb_formats.txt")),
];

/// Sets that ask for a signed agreement, and where.
const SIGNED: [(&str, &str); 5] = [
    ("mimic-iii", "https://physionet.org/content/mimiciii/"),
    ("mimic-iv", "https://physionet.org/content/mimiciv/"),
    ("eicu", "https://physionet.org/content/eicu-crd/"),
    ("hirid", "https://physionet.org/content/hirid/"),
    ("amsterdamumcdb", "https://amsterdammedicaldatascience.nl/amsterdamumcdb/"),
];

/// Sets that were put together from several places, so that no address has them.
const ASSEMBLED: [(&str, &str); 3] = [
    ("nifti_samples", "it was put together from several folders of nibabel"),
    ("protein_ss", "it was put together from FLIP and PS4"),
    ("synthea", "it was put together from runs of Synthea"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_can_be_read_and_names_a_folder() {
        let mut before = "";
        for name in sources() {
            let source = Source::of(name).unwrap();
            assert!(before < name, "sorted");
            before = name;
            assert!(source.from.starts_with("https://"), "{name}");
            assert!(!source.files.is_empty() || source.list.is_some(), "{name}");
            if source.check() == Check::Digest {
                assert!(source.bytes().unwrap() > 0, "{name}");
            }
        }
        assert_eq!(Source::of("mitbih").unwrap().check(), Check::PublisherList);
        assert_eq!(Source::of("moleculenet").unwrap().check(), Check::Nothing);
    }

    #[test]
    fn what_cannot_be_fetched_says_why() {
        for (name, words) in [
            ("mimic-iii", "apply at https://physionet.org/content/mimiciii/"),
            ("synthea", "put together"),
            ("nothing", "sequela data list"),
        ] {
            let error = Source::of(name).unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
            assert_eq!(error.class().exit_code(), 2);
        }
    }

    #[test]
    fn lists_are_taken_by_pattern() {
        let text = "from http://a/\nlist SUMS\ntake *.hea\ntake deep/x*\n";
        let source = Source::parse("a", text).unwrap();
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let list = format!("{one}  100.hea\n{two} *deep/x1\n{two}  deep/no/100.hea\nbad  z.hea\n");
        let files = source.listed(&list).unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(names, ["100.hea", "deep/x1"]);
        assert_eq!(files[1].sha256.as_deref(), Some(two.as_str()));
        let error = source.listed(&format!("{one}  100.hea\n")).unwrap_err();
        assert!(error.to_string().contains("no digest for deep/x*"), "{error}");
    }

    #[test]
    fn paths_that_leave_the_folder_are_refused() {
        for name in ["../a", "/a", "a//b", "a/../b", ".a", "a\\b", "a b", "~"] {
            assert_eq!(safe(name), None, "{name}");
        }
        assert_eq!(safe("a/b-1_2.tar.gz"), Some("a/b-1_2.tar.gz"));
        let evil = format!("from http://a/\n{} 1 ../x\n", "1".repeat(64));
        assert_eq!(Source::parse("a", &evil), None);
    }
}
