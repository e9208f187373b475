//! Bursts become a Markdown table. Figures are medians over the rounds; ratios are taken within a round, where all
//! targets met the same weather, and only then is the median taken.

use std::fmt::Write as _;

use super::load::Yield;

/// One burst and what it cost the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    pub(crate) result: Yield,
    /// CPU time of the server's processes, seconds.
    pub(crate) user: f64,
    pub(crate) system: f64,
    /// What of both went to the servers that worked for it.
    pub(crate) helped: f64,
    /// The share of the machine's time that went to nobody in this bench.
    pub(crate) noise: f64,
}

impl Burst {
    fn user_us(&self) -> f64 {
        self.user / self.result.requests.max(1.0) * 1e6
    }

    fn system_us(&self) -> f64 {
        self.system / self.result.requests.max(1.0) * 1e6
    }

    fn helped_us(&self) -> f64 {
        self.helped / self.result.requests.max(1.0) * 1e6
    }

    fn cpu_us(&self) -> f64 {
        self.user_us() + self.system_us()
    }

    fn rate(&self) -> f64 {
        self.result.requests / self.result.seconds.max(1e-9)
    }
}

/// All bursts of one target, one a round.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) bursts: Vec<Burst>,
    pub(crate) idle_mib: f64,
    pub(crate) peak_mib: f64,
    pub(crate) start_ms: Vec<f64>,
}

const HEADING: &str = "\
| target | CPU µs/request (user + system) | of it helpers | least | spread | × CPU of {base} | requests/s | p50 µs | p99 µs \
| memory idle, peak MiB | start ms | noise | bad |
|---|---|---|---|---|---|---|---|---|---|---|---|---|";

/// The table, cheapest target first. The first row given is the one that others are compared with.
pub(crate) fn table(rows: &[Row]) -> String {
    let Some(base) = rows.first() else { return String::new() };
    let mut order: Vec<&Row> = rows.iter().collect();
    order.sort_by(|left, right| left.median(Burst::cpu_us).total_cmp(&right.median(Burst::cpu_us)));
    let mut text = HEADING.replace("{base}", &base.name);
    for row in order {
        let cpu: Vec<f64> = row.bursts.iter().map(Burst::cpu_us).collect();
        let least = cpu.iter().copied().fold(f64::INFINITY, f64::min);
        let most = cpu.iter().copied().fold(0.0, f64::max);
        let ratios =
            row.bursts.iter().zip(&base.bursts).map(|(mine, theirs)| mine.cpu_us() / theirs.cpu_us());
        let bad: f64 = row.bursts.iter().map(|burst| burst.result.bad).sum();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\n| {} | {:.1} ({:.1} + {:.1}) | {:.1} | {least:.1} | {:.0} % | {:.2} | {:.0} | {:.0} | {:.0} | {:.1}, {:.1} | {:.0} | {:.0} % | {bad:.0} |",
            row.name,
            row.median(Burst::cpu_us),
            row.median(Burst::user_us),
            row.median(Burst::system_us),
            row.median(Burst::helped_us),
            (most - least) / row.median(Burst::cpu_us) * 100.0,
            median(ratios.collect()),
            row.median(Burst::rate),
            row.median(|burst| burst.result.p50_us),
            row.median(|burst| burst.result.p99_us),
            row.idle_mib,
            row.peak_mib,
            median(row.start_ms.clone()),
            row.median(|burst| burst.noise) * 100.0,
        );
    }
    text
}

/// What a policy adds to a request, beside an evaluation of it: rows that ask it never, once and twice.
pub(crate) fn evaluation(rows: &[Row], [never, once, twice]: [usize; 3]) -> String {
    let (Some(never), Some(once), Some(twice)) = (rows.get(never), rows.get(once), rows.get(twice)) else {
        return String::new();
    };
    let step = |more: &Row, less: &Row| {
        median(
            more.bursts.iter().zip(&less.bursts).map(|(more, less)| more.cpu_us() - less.cpu_us()).collect(),
        )
    };
    let (added, evaluated) = (step(once, never), step(twice, once));
    format!(
        "The policy adds {added:.1} µs to a request; an evaluation more adds {evaluated:.1} µs. So it costs {:.2} × its own \
         evaluation.",
        added / evaluated
    )
}

impl Row {
    fn median(&self, figure: impl Fn(&Burst) -> f64) -> f64 {
        median(self.bursts.iter().map(figure).collect())
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle.saturating_sub(1)), values.get(middle)) {
        (Some(low), Some(high)) if values.len().is_multiple_of(2) => f64::midpoint(*low, *high),
        (_, Some(middle)) => *middle,
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, cpu_us: &[f64]) -> Row {
        let result = Yield { requests: 1000.0, seconds: 2.0, p50_us: 50.0, p99_us: 99.0, bad: 0.0 };
        let burst = |us: &f64| Burst { result, user: us / 1e3, system: 0.0, helped: 0.0, noise: 0.01 };
        Row {
            name: name.to_owned(),
            bursts: cpu_us.iter().map(burst).collect(),
            idle_mib: 1.0,
            peak_mib: 2.0,
            start_ms: vec![3.0, 4.0],
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let text = table(&[row("doorward", &[10.0, 20.0, 10.0]), row("other", &[30.0, 60.0, 31.0])]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| doorward | 10.0 (10.0 + 0.0) | 0.0 | 10.0 | 100 % | 1.00 | 500 | 50 | 99 | 1.0, 2.0 | 4 | 1 % | 0 |",
                "| other | 31.0 (31.0 + 0.0) | 0.0 | 30.0 | 97 % | 3.00 | 500 | 50 | 99 | 1.0, 2.0 | 4 | 1 % | 0 |",
            ]
        );
    }

    #[test]
    fn a_policy_is_compared_with_its_own_evaluation() {
        let rows = [row("never", &[10.0, 12.0]), row("once", &[40.0, 42.0]), row("twice", &[60.0, 62.0])];
        let text = evaluation(&rows, [0, 1, 2]);
        assert!(text.contains("adds 30.0 µs") && text.contains("more adds 20.0 µs"), "{text}");
        assert!(text.contains("1.50 × its own evaluation"), "{text}");
        assert_eq!(evaluation(&rows, [0, 1, 3]), "");
    }

    #[test]
    fn a_median_lies_in_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < 1e-9);
        assert!((median(vec![4.0, 1.0, 2.0, 3.0]) - 2.5).abs() < 1e-9);
        assert!(median(Vec::new()).is_nan());
    }
}
