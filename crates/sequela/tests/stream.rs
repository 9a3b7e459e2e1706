//! `predict --stream` through the program: the bits of the batch on every instruction set,
//! answers before more input is waited for, and states that survive what ends the program.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests may fail loudly")]

mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::time::{Duration, Instant};

use common::{Bench, ran};
use serde_json::Value;

const MODEL: &str = "run/model.safetensors";

/// A folder with a model whose state is carried, and the ward's lines, patients mixed.
fn ward() -> (Bench, Vec<String>) {
    let bench = Bench::with_inputs();
    let set = ["--set", "model.pooling=\"none\"", "--set", "train.truncate=16"];
    let train = ["train", "ward.toml", "--out", "run", "--quiet"];
    let trained = ran(bench.command().args(train).args(set));
    assert_eq!(trained.code, 0, "{}", trained.err);
    let table = String::from_utf8(bench.read("ward.csv")).unwrap();
    let mut lines: Vec<String> = table.lines().map(str::to_owned).collect();
    let header = lines.remove(0);
    // Round and round the patients: by place in their own series, then as they came.
    let mut seen = std::collections::BTreeMap::<String, usize>::new();
    let mut placed: Vec<(usize, String)> = lines
        .into_iter()
        .map(|line| {
            let place = seen.entry(line.split(',').next().unwrap().to_owned()).or_default();
            *place += 1;
            (*place, line)
        })
        .collect();
    placed.sort_by_key(|(place, _)| *place);
    let mut lines = vec![header];
    lines.extend(placed.into_iter().map(|(_, line)| line));
    bench.write("mixed.csv", lines.join("\n") + "\n");
    (bench, lines)
}

/// The bits of a list of forecasts; nothing where it is null.
fn bits(forecasts: &Value) -> Vec<u32> {
    #[allow(clippy::cast_possible_truncation, reason = "they were f32")]
    let bits = |value: &Value| (value.as_f64().unwrap() as f32).to_bits();
    forecasts.as_array().map_or_else(Vec::new, |list| list.iter().map(bits).collect())
}

/// The program with a pipe at either end.
struct Talk {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl Talk {
    fn begin(bench: &Bench, more: &[&str]) -> Self {
        let mut command = bench.command();
        command.args(["predict", MODEL, "-", "--stream"]).args(more);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (to, from) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, to, from }
    }

    fn say(&mut self, line: &str) {
        let to = self.to.as_mut().unwrap();
        to.write_all(line.as_bytes()).unwrap();
        to.write_all(b"\n").unwrap();
        to.flush().unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.from.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    fn end(mut self) -> (i32, String) {
        drop(self.to.take());
        let ended = self.child.wait_with_output().unwrap();
        (ended.status.code().unwrap_or(-1), String::from_utf8(ended.stderr).unwrap())
    }
}

#[test]
fn the_bits_are_those_of_the_batch_on_every_instruction_set() {
    let (bench, lines) = ward();
    let mut first: Option<String> = None;
    for isa in ["portable", "avx2", "avx512"] {
        for threads in ["1", "2"] {
            let run = |more: &[&str]| {
                let mut command = bench.command();
                command.env("SEQUELA_ISA", isa).args(["predict", MODEL, "mixed.csv", "--json"]);
                ran(command.args(["--threads", threads]).args(more))
            };
            let every = run(&["--every"]);
            if every.code == 2 {
                assert!(every.err.contains("this machine does not have it"), "{}", every.err);
                continue;
            }
            let every: Value = serde_json::from_str(&every.out).unwrap();
            let mut wanted = std::collections::BTreeMap::new();
            for row in every["rows"].as_array().unwrap() {
                let place = (row["subject"].clone().to_string(), row["step"].as_u64().unwrap());
                wanted.insert(place, bits(&row["forecasts"]));
            }
            let streamed = run(&["--stream"]);
            assert_eq!(streamed.code, 0, "{}", streamed.err);
            let mut steps = std::collections::BTreeMap::<String, u64>::new();
            for answer in streamed.out.lines() {
                let answer: Value = serde_json::from_str(answer).unwrap();
                let subject = answer["subject"].to_string();
                let step = steps.entry(subject.clone()).or_default();
                let wanted = wanted.remove(&(subject, *step)).unwrap_or_default();
                assert_eq!(bits(&answer["forecasts"]), wanted, "{isa}");
                *step += 1;
            }
            assert!(wanted.is_empty());
            assert_eq!(streamed.out.lines().count() + 1, lines.len());
            let first = first.get_or_insert_with(|| streamed.out.clone());
            assert!(*first == streamed.out, "{isa} differs");
        }
    }
}

#[test]
fn an_answer_comes_before_more_input_is_waited_for() {
    let (bench, lines) = ward();
    let whole = bench.run(&["predict", MODEL, "mixed.csv", "--stream"]);
    let mut answers = whole.out.lines();
    let mut talk = Talk::begin(&bench, &[]);
    talk.say(&lines[0]);
    talk.say(&lines[1]);
    assert_eq!(talk.hear(), answers.next().unwrap(), "the header");
    assert_eq!(talk.hear(), answers.next().unwrap());
    for line in &lines[2..] {
        talk.say(line);
        assert_eq!(talk.hear(), answers.next().unwrap());
    }
    assert_eq!(talk.end().0, 0);
}

#[test]
fn a_state_goes_on_after_the_end_a_signal_and_a_fault() {
    let (bench, lines) = ward();
    let whole = bench.run(&["predict", MODEL, "mixed.csv", "--stream"]);
    let answers: Vec<&str> = whole.out.lines().collect();
    let third = lines.len() / 3;
    let keep = ["--state", "ward.state"];

    // To the end of the input.
    bench.write("first.csv", lines[..third].join("\n"));
    let first = bench.run(&[&["predict", MODEL, "first.csv", "--stream"][..], &keep].concat());
    assert_eq!(first.code, 0, "{}", first.err);
    assert!(first.out.lines().eq(answers[..third].iter().copied()));

    // To a signal, while nothing comes.
    let mut talk = Talk::begin(&bench, &keep);
    talk.say(&lines[0]);
    for at in third..2 * third {
        talk.say(&lines[at]);
        if at == third {
            assert_eq!(talk.hear(), answers[0]);
        }
        assert_eq!(talk.hear(), answers[at]);
    }
    // The lock has one holder.
    let second = bench.run(&[&["predict", MODEL, "first.csv", "--stream"][..], &keep].concat());
    assert_eq!(second.code, 4, "{}", second.err);
    assert!(second.err.contains("ward.state.lock"), "{}", second.err);
    #[cfg(unix)]
    {
        let kill = format!("kill -TERM {}", talk.child.id());
        assert_eq!(ran(&mut bench.shell(&kill)).code, 0);
        let start = Instant::now();
        while talk.child.try_wait().unwrap().is_none() {
            assert!(start.elapsed() < Duration::from_secs(20), "the signal was not seen");
            std::thread::sleep(Duration::from_millis(5));
        }
        let (code, said) = talk.end();
        assert_eq!(code, 130, "{said}");
        let before = format!("subjects after {} lines", third - 1);
        assert!(said.contains(&before), "{said}");
    }
    #[cfg(not(unix))]
    assert_eq!(talk.end().0, 0);

    // To a line that is not understood.
    let rest = [&lines[..1], &lines[2 * third..]].concat().join("\n");
    bench.write("rest.csv", format!("{rest}\np01,1,x,A\np01,9,70,A\n"));
    let rest = bench.run(&[&["predict", MODEL, "rest.csv", "--stream"][..], &keep].concat());
    assert_eq!(rest.code, 3, "{}", rest.err);
    let place = format!("rest.csv:{}, field ", lines.len() - 2 * third + 2);
    assert!(rest.err.contains(&place), "{}", rest.err);
    assert!(rest.out.lines().skip(1).eq(answers[2 * third..].iter().copied()));
    let names: Vec<String> = std::fs::read_dir(bench.path("."))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("ward.state"))
        .collect();
    assert_eq!(names, ["ward.state"], "no lock and no temporary file is left");
}

#[test]
fn a_killed_program_leaves_a_whole_state_that_says_where_to_go_on() {
    let (bench, lines) = ward();
    let whole = bench.run(&["predict", MODEL, "mixed.csv", "--stream"]);
    let answers: Vec<&str> = whole.out.lines().collect();
    for (turn, cut) in [(0, 20), (1, 61), (2, 140)] {
        let state = format!("killed-{turn}.state");
        let keep = ["--state", &state, "--save-every", "7"];
        let mut talk = Talk::begin(&bench, &keep);
        for line in &lines[..cut] {
            talk.say(line);
        }
        for answer in &answers[..cut] {
            assert_eq!(talk.hear(), *answer);
        }
        talk.child.kill().unwrap();
        assert_ne!(talk.end().0, 0);
        let mut talk = Talk::begin(&bench, &keep);
        talk.say(&lines[0]);
        // The state tells how many lines are in it; the sender goes on with the next one.
        let mut said = BufReader::new(talk.child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let after: usize =
            line.split(" after ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
        // The kill may come before the lines that were just answered are in it.
        assert!(after < cut, "{line}");
        for line in &lines[after + 1..] {
            talk.say(line);
        }
        assert_eq!(talk.hear(), answers[0]);
        for answer in &answers[after + 1..] {
            assert_eq!(talk.hear(), *answer);
        }
        talk.child.stderr = Some(said.into_inner());
        assert_eq!(talk.end().0, 0);
    }
}

#[test]
fn faults_are_answered_and_the_exit_code_tells_of_them() {
    let (bench, lines) = ward();
    let good = lines[..4].join("\n");
    bench.write("some.csv", format!("{good}\np01,x,70,A\np01\n{}\n", lines[4]));
    let skip = ["predict", MODEL, "some.csv", "--stream", "--on-error", "skip"];
    let skipped = bench.run(&skip);
    assert_eq!(skipped.code, 1, "{}", skipped.err);
    assert!(skipped.err.contains("2 lines were answered by a fault"), "{}", skipped.err);
    let answers: Vec<&str> = skipped.out.lines().collect();
    assert_eq!(answers.len(), 7);
    assert!(answers[0].ends_with(",fault"));
    assert!(answers[4].contains("line 5, field time_s: the text is not a number"), "{answers:?}");
    assert!(answers[5].contains("line 6: the line has 1 cells, not 4"), "{answers:?}");
    let few = bench.run(&[&skip[..], &["--max-subjects", "1", "--json"]].concat());
    assert_eq!(few.code, 1);
    assert!(few.out.contains("over the limit of 1 subjects"), "{}", few.out);

    // A state is of one model.
    let state = ["--stream", "--state", "one.state"];
    assert_eq!(bench.run(&[&["predict", MODEL, "mixed.csv"][..], &state].concat()).code, 0);
    assert_eq!(bench.run(&["train", "ward.toml", "--out", "other", "--quiet"]).code, 0);
    let other = "other/model.safetensors";
    let refused = bench.run(&[&["predict", other, "mixed.csv"][..], &state].concat());
    assert_eq!((refused.code, refused.out.as_str()), (5, ""));
    assert!(refused.err.contains("one.state, field model: this is the state of another model"));
    let before = bench.read("one.state");
    let full = "ulimit -f 1; exec \"$0\" predict run/model.safetensors mixed.csv --stream --state one.state";
    if cfg!(unix) {
        let full = ran(&mut bench.shell(&format!("{full} > /dev/null")));
        if full.code != 0 {
            assert_eq!(full.code, 4, "{}", full.err);
            assert!(before == bench.read("one.state"), "the state before is whole");
        }
    }
}
