//! The items of TRIPOD+AI, and which of them the software can speak to.
//!
//! **Source** Collins, Moons, Dhiman et al., *TRIPOD+AI statement*, BMJ 385 (2024) e078378; the
//! wording is shortened, so have the checklist itself at hand.

/// What the software knows about the items of a report.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Number of an item (`5a`), and what can be said.
    pub said: Vec<(&'static str, String)>,
}

impl Known {
    /// Adds what can be said about an item.
    pub fn say(&mut self, number: &'static str, text: impl Into<String>) {
        self.said.push((number, text.into()));
    }
}

/// One item with what is known about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its number: `12e`.
    pub number: &'static str,
    /// What it asks for.
    pub asks: &'static str,
    /// What can be said, or that the authors have to.
    pub answer: String,
}

/// Every item in its order: what is known, else `AUTHORS`.
///
/// # Example
/// ```
/// use sequela_eval::report::{Known, items};
/// let mut known = Known::default();
/// known.say("11", "missing values are carried forward");
/// let items = items(&known);
/// assert_eq!(items.len(), 52);
/// assert!(items.iter().any(|item| item.number == "11" && item.answer.starts_with("missing")));
/// ```
pub fn items(known: &Known) -> Vec<Item> {
    let answer = |number: &str| {
        let said: Vec<&str> = known
            .said
            .iter()
            .filter(|(known, _)| *known == number)
            .map(|(_, text)| text.as_str())
            .collect();
        if said.is_empty() { AUTHORS.to_owned() } else { said.join(" ") }
    };
    ITEMS.iter().map(|&(number, asks)| Item { number, asks, answer: answer(number) }).collect()
}

/// What stands where the software knows nothing.
pub(crate) const AUTHORS: &str = "To be filled in by the authors.";

const ITEMS: [(&str, &str); 52] = [
    ("1", "Title: development or evaluation of a multivariable model, population, outcome"),
    ("2", "Abstract (TRIPOD+AI for abstracts)"),
    ("3a", "Healthcare context, rationale, existing models"),
    ("3b", "Target population and intended purpose in the care pathway, intended users"),
    ("3c", "Known health inequalities between sociodemographic groups"),
    ("4", "Objectives: development, evaluation or both"),
    ("5a", "Sources of data, rationale, representativeness"),
    ("5b", "Dates of the data, start and end of accrual and follow-up"),
    ("6a", "Setting, number and place of centres"),
    ("6b", "Eligibility of participants"),
    ("6c", "Treatments received and how they were handled"),
    ("7", "Data preparation and quality checks, alike across groups"),
    ("8a", "Outcome, its horizon, how and when it was assessed"),
    ("8b", "Qualifications of who assessed a subjective outcome"),
    ("8c", "Blinding of the assessment of the outcome"),
    ("9a", "Choice of initial predictors, selection before modelling"),
    ("9b", "All predictors, how and when they were measured"),
    ("9c", "Qualifications of who measured subjective predictors"),
    ("10", "How the sample size was arrived at"),
    ("11", "How missing data were handled, reasons for omission"),
    ("12a", "How data were used: partitioning, development and evaluation"),
    ("12b", "How predictors were handled: functional form, rescaling"),
    ("12c", "Type of model, model building, hyperparameters, internal validation"),
    ("12d", "Heterogeneity across clusters (hospitals, countries)"),
    ("12e", "Measures of performance and plots: discrimination, calibration, utility"),
    ("12f", "Model updating arising from the evaluation (recalibration)"),
    ("12g", "How predictions were calculated in an evaluation"),
    ("13", "Class imbalance: methods, reasons, recalibration after them"),
    ("14", "Approaches to fairness and their rationale"),
    ("15", "Output of the model (probabilities, classes), thresholds and their rationale"),
    ("16", "Differences between development and evaluation data"),
    ("17", "Ethical approval, consent or waiver"),
    ("18a", "Funding and the role of funders"),
    ("18b", "Conflicts of interest"),
    ("18c", "Protocol, or that none was prepared"),
    ("18d", "Registration, or that there was none"),
    ("18e", "Availability of data"),
    ("18f", "Availability of code"),
    ("19", "Patient and public involvement, or that there was none"),
    ("20a", "Flow of participants, numbers with and without the outcome, follow-up"),
    ("20b", "Characteristics of participants, missing data, by source and group"),
    ("20c", "Comparison of development and evaluation data: predictors, outcome"),
    ("21", "Participants and events in each analysis"),
    ("22", "The full model, so that predictions can be made by others"),
    ("23a", "Performance with confidence intervals, in key subgroups, with plots"),
    ("23b", "Heterogeneity of performance across clusters"),
    ("24", "Results of model updating"),
    ("25", "Interpretation, fairness included, in the context of earlier studies"),
    ("26", "Limitations and their effect on bias, uncertainty, generalisability"),
    ("27a", "How poor or missing input is to be handled in use"),
    ("27b", "Whether users interact with data or model, what expertise they need"),
    ("27c", "Next steps for research, applicability, generalisability"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_items_are_those_of_the_checklist() {
        let items = items(&Known::default());
        assert!(items.iter().all(|item| item.answer == AUTHORS));
        let mut main: Vec<&str> =
            items.iter().map(|item| item.number.trim_end_matches(char::is_alphabetic)).collect();
        main.dedup();
        assert_eq!(main.len(), 27);
    }
}
