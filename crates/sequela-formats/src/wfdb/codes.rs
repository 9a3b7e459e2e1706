//! The codes of annotations: what happened at a sample.

/// What an annotation says: one of the standard codes, or a number without a meaning here.
///
/// # Example
/// ```
/// use sequela_formats::wfdb::Code;
/// let code = Code::from_symbol("V").unwrap();
/// assert_eq!(code, Code(5));
/// assert_eq!(code.description(), "Premature ventricular contraction");
/// assert!(code.is_beat() && !code.is_normal_beat());
/// assert_eq!(Code(42).symbol(), "");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(
    /// The number in the file, 0 to 49.
    pub u8,
);

impl Code {
    /// The code that `symbol` stands for.
    pub fn from_symbol(symbol: &str) -> Option<Self> {
        TABLE
            .iter()
            .find(|row| !symbol.is_empty() && row.symbol == symbol)
            .map(|row| Self(row.code))
    }

    /// The symbol, e.g. `N`; empty where the code is not a standard one.
    pub fn symbol(self) -> &'static str {
        self.row().map_or("", |row| row.symbol)
    }

    /// The name in `ecgcodes.h`, e.g. `NORMAL`; empty where the code is not a standard one.
    pub fn name(self) -> &'static str {
        self.row().map_or("", |row| row.name)
    }

    /// The meaning in words; empty where the code is not a standard one.
    pub fn description(self) -> &'static str {
        self.row().map_or("", |row| row.description)
    }

    /// Whether it marks a heart beat (a QRS complex).
    ///
    /// These are the beat annotations of the `PhysioNet` table: `N L R B A a J S V r F e j n E / f Q
    /// ?`. Flutter waves (`!`), blocked P waves (`x`) and artefacts (`|`) are none.
    pub fn is_beat(self) -> bool {
        BEATS.contains(&self.0)
    }

    /// Whether it marks a beat that the sinus node or, in bundle branch block, the usual path
    /// led: `N L R B`. Intervals between two of these are NN intervals.
    pub fn is_normal_beat(self) -> bool {
        matches!(self.0, 1 | 2 | 3 | 25)
    }

    fn row(self) -> Option<&'static Row> {
        TABLE.iter().find(|row| row.code == self.0)
    }
}

#[derive(Debug)]
struct Row {
    code: u8,
    symbol: &'static str,
    name: &'static str,
    description: &'static str,
}

const fn row(code: u8, symbol: &'static str, name: &'static str, description: &'static str) -> Row {
    Row { code, symbol, name, description }
}

const BEATS: [u8; 19] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 25, 30, 34, 35, 38, 41];

const TABLE: [Row; 40] = [
    row(0, "", "NOTANN", "Not an actual annotation"),
    row(1, "N", "NORMAL", "Normal beat"),
    row(2, "L", "LBBB", "Left bundle branch block beat"),
    row(3, "R", "RBBB", "Right bundle branch block beat"),
    row(4, "a", "ABERR", "Aberrated atrial premature beat"),
    row(5, "V", "PVC", "Premature ventricular contraction"),
    row(6, "F", "FUSION", "Fusion of ventricular and normal beat"),
    row(7, "J", "NPC", "Nodal (junctional) premature beat"),
    row(8, "A", "APC", "Atrial premature contraction"),
    row(9, "S", "SVPB", "Premature or ectopic supraventricular beat"),
    row(10, "E", "VESC", "Ventricular escape beat"),
    row(11, "j", "NESC", "Nodal (junctional) escape beat"),
    row(12, "/", "PACE", "Paced beat"),
    row(13, "Q", "UNKNOWN", "Unclassifiable beat"),
    row(14, "~", "NOISE", "Signal quality change"),
    row(16, "|", "ARFCT", "Isolated QRS-like artifact"),
    row(18, "s", "STCH", "ST change"),
    row(19, "T", "TCH", "T-wave change"),
    row(20, "*", "SYSTOLE", "Systole"),
    row(21, "D", "DIASTOLE", "Diastole"),
    row(22, "\"", "NOTE", "Comment annotation"),
    row(23, "=", "MEASURE", "Measurement annotation"),
    row(24, "p", "PWAVE", "P-wave peak"),
    row(25, "B", "BBB", "Left or right bundle branch block"),
    row(26, "^", "PACESP", "Non-conducted pacer spike"),
    row(27, "t", "TWAVE", "T-wave peak"),
    row(28, "+", "RHYTHM", "Rhythm change"),
    row(29, "u", "UWAVE", "U-wave peak"),
    row(30, "?", "LEARN", "Learning"),
    row(31, "!", "FLWAV", "Ventricular flutter wave"),
    row(32, "[", "VFON", "Start of ventricular flutter/fibrillation"),
    row(33, "]", "VFOFF", "End of ventricular flutter/fibrillation"),
    row(34, "e", "AESC", "Atrial escape beat"),
    row(35, "n", "SVESC", "Supraventricular escape beat"),
    row(36, "@", "LINK", "Link to external data (aux_note contains URL)"),
    row(37, "x", "NAPC", "Non-conducted P-wave (blocked APB)"),
    row(38, "f", "PFUS", "Fusion of paced and normal beat"),
    row(39, "(", "WFON", "Waveform onset"),
    row(40, ")", "WFOFF", "Waveform end"),
    row(41, "r", "RONT", "R-on-T premature ventricular contraction"),
];
