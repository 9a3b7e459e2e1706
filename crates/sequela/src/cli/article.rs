//! How good any forecast of the article's series can be: the figures that the demo owes the user.

use sequela_data::simulate::article;
use sequela_eval::table::{Align, Table, number};
use serde_json::{Value, json};

/// Mean squared errors of forecasters that know more than a network can learn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Honesty {
    /// Of the mean of the series.
    mean: f64,
    /// Of repeating the value before.
    persistence: f64,
    /// Of the best straight line through (value before, value).
    line: f64,
    /// Of the mean of each half, which needs to be told where the step is.
    halves: f64,
}

impl Honesty {
    /// The figures of the article's series, whose targets are all values but the first.
    pub(crate) fn of_the_series() -> Self {
        Self::of(&article::series())
    }

    fn of(series: &[f64]) -> Self {
        let (before, target) = (&series[..series.len() - 1], &series[1..]);
        let persistence = before.iter().zip(target).map(|(b, t)| (t - b) * (t - b));
        let (mean_before, mean_target) = (mean(before), mean(target));
        let covariance: Vec<f64> =
            before.iter().zip(target).map(|(b, t)| (b - mean_before) * (t - mean_target)).collect();
        let explained = mean(&covariance) * mean(&covariance) / variance(before);
        let (first, second) = target.split_at(series.len() / 2 - 1);
        let (n, m) = (first.len() as f64, second.len() as f64);
        Self {
            mean: variance(target),
            persistence: mean(&persistence.collect::<Vec<_>>()),
            line: variance(target) - explained,
            halves: (n * variance(first) + m * variance(second)) / (n + m),
        }
    }

    /// The figures beside the loss that the network reached.
    pub(crate) fn text(&self, loss: f64) -> String {
        let mut table = Table::new(&[
            ("on the article's series", Align::Left),
            ("MSE (bpm^2)", Align::Right),
            ("against the mean", Align::Right),
        ]);
        let rows = [
            ("repeating the value before", self.persistence),
            ("the mean of the series", self.mean),
            ("best straight line from the value before", self.line),
            ("this network, last epoch", loss),
            ("told where the step is: the mean of each half", self.halves),
        ];
        for (name, error) in rows {
            let gain = format!("{:+.1} %", 100.0 * (error / self.mean - 1.0));
            table.row([name, &number(error, 2), &gain]);
        }
        let on_its_way = if loss > 1.05 * self.mean { ON_ITS_WAY } else { "" };
        format!(
            "{}\n\
             The series is noise around 100 with a step of 5 in its middle, so the value before tells almost\n\
             nothing about the next one. No model can beat the mean by much: the best straight line gains\n\
             {:.1} %, and one that is told where the step is {:.1} %. A loss near the variance ({:.1}) is as good as\n\
             it gets here; one far below it would be noise learnt by heart.\n{on_its_way}",
            table.text(),
            100.0 * (1.0 - self.line / self.mean),
            100.0 * (1.0 - self.halves / self.mean),
            self.mean,
        )
    }

    /// The figures for machines.
    pub(crate) fn machine(&self) -> Value {
        json!({ "mse_of_the_mean": self.mean, "mse_of_persistence": self.persistence,
            "mse_of_the_best_line": self.line, "mse_of_the_means_of_the_halves": self.halves })
    }
}

/// Keras's figures are those of `testdata/parity/article_seeds.json`.
const ON_ITS_WAY: &str = "\
The network is still on its way from 0 up to the mean, as Keras's is (172.8 to 186.6 after the article's
100 epochs, ten seeds); --set train.epochs=200 takes it there: a flat line at the mean.
";

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn variance(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_numpy() {
        // np.random.seed(42); s = np.random.normal(100, 10, 1000); s[500:] += 5; x, y = s[:-1], s[1:]
        // y.var(), ((y - x) ** 2).mean(), y.var() - np.cov(x, y, bias=True)[0, 1] ** 2 / x.var(),
        // (499 * y[:499].var() + 500 * y[499:].var()) / 999
        let figures = Honesty::of_the_series();
        let near = |found: f64, wanted: f64| (found / wanted - 1.0).abs() < 1e-12;
        assert!(near(figures.mean, 102.762_789_386_973_14));
        assert!(near(figures.persistence, 193.409_505_372_106_8));
        assert!(near(figures.line, 102.408_948_604_478_01));
        assert!(near(figures.halves, 95.846_689_549_116_73));
    }
}
