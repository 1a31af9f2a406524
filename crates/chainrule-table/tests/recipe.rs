//! The recipe: members over folds, what is chosen on which rows, and what stands in the file.

use chainrule::random::default_rng;
use chainrule::{ModelFile, Processor};
use chainrule_table::metrics::Metrics;
use chainrule_table::recipe::{self, Fitted, Options, Tables, main_metric};
use chainrule_table::{Model, Predictions, Table};
use std::fmt::Write as _;
use std::ops::ControlFlow;

fn options(text: &str) -> Options {
    let mut options = Options::default();
    for pair in text.split_whitespace() {
        let (name, value) = pair.split_once('=').unwrap();
        options.set(name, value).unwrap();
    }
    options
}

fn fit(csv: &str, text: &str) -> Result<Fitted, String> {
    fit_with(csv, text, 2)
}

fn fit_with(csv: &str, text: &str, threads: usize) -> Result<Fitted, String> {
    let table = Table::read_csv(csv.as_bytes(), "t.csv").unwrap();
    let tables = Tables { table: &table, test: None, validation: None, start: None };
    let mut watch = |_: chainrule::train::Event<'_>| ControlFlow::Continue(());
    recipe::fit(&tables, &options(text), &Processor::new(threads), &mut |_| {}, &mut watch)
        .map_err(|error| error.to_string())
}

/// y = 3a − 2b + noise whose width grows with a, a class, a group of four rows, and a day.
fn table(rows: usize) -> String {
    let mut random = default_rng(5);
    let mut csv = String::from("a,b,group,day,y,class\n");
    for i in 0..rows {
        let (a, b) = (random.uniform(0.0, 4.0).unwrap(), random.uniform(-1.0, 1.0).unwrap());
        let y = 3.0 * a - 2.0 * b + 0.3 * a * random.standard_normal_f64();
        let class = if y > 6.0 { "high" } else { "low" };
        let day = (i * 7919) % rows;
        writeln!(csv, "{a},{b},g{},{day},{y},{class}", i / 4).unwrap();
    }
    csv
}

const NUMBER: &str = "target=y ignore=class,group,day epochs=6";
const CLASS: &str = "target=class ignore=y,group,day epochs=6";

#[test]
fn no_number_of_threads_changes_a_bit_of_an_ensemble() {
    let csv = table(300);
    for text in [NUMBER, CLASS] {
        let bytes = |threads| fit_with(&csv, text, threads).unwrap().model.to_file().unwrap().write_bytes().unwrap();
        let alone = bytes(1);
        for threads in [2, 3] {
            assert!(bytes(threads) == alone, "{text} on {threads} threads");
        }
    }
}

#[test]
fn an_ensemble_with_intervals_comes_back_from_its_file() {
    let csv = table(300);
    let fitted = fit(&csv, &format!("{NUMBER} quantiles=0.1,0.9")).unwrap();
    assert!(fitted.model.others.len() >= 3 && fitted.model.output.intervals.is_some());
    let bytes = fitted.model.to_file().unwrap().write_bytes().unwrap();
    let again = Model::from_file(&ModelFile::read_bytes(&bytes).unwrap()).unwrap();
    assert_eq!(again.output, fitted.model.output);
    let table = Table::read_csv(csv.as_bytes(), "t.csv").unwrap();
    let predictions = |model: &Model| model.predict(&table, None, &Processor::new(1)).unwrap().0;
    assert_eq!(predictions(&again), predictions(&fitted.model));
    let Predictions::Numbers { quantiles, .. } = predictions(&again) else { panic!("numbers") };
    assert_eq!(quantiles.iter().map(|(level, _)| *level).collect::<Vec<_>>(), [0.1, 0.9]);
}

#[test]
fn a_file_whose_members_contradict_it_is_refused() {
    let file = fit(&table(120), CLASS).unwrap().model.to_file().unwrap();
    let refused = |change: &dyn Fn(&mut ModelFile)| {
        let mut file = file.clone();
        change(&mut file);
        Model::from_file(&file).unwrap_err().to_string()
    };
    let shares = refused(&|file| file.metadata["output"]["shares"] = serde_json::json!([1.0]));
    assert!(shares.contains("members"), "{shares}");
    assert!(refused(&|file| file.metadata["members"] = serde_json::json!([])).contains("members"));
    let narrow = refused(&|file| file.metadata["members"][1]["inputs"] = serde_json::json!(1));
    assert!(narrow.contains("piecewise") || narrow.contains("tensor"), "{narrow}");
    let huge = refused(&|file| {
        file.metadata["members"][0]["layers"] = serde_json::json!(["dense:4000", "members:4000", "heads:1"]);
    });
    assert!(huge.contains("architecture") || huge.contains("parameters"), "{huge}");
    let missing = refused(&|file| drop(file.tensors.remove("members.1.1.weight")));
    assert!(missing.contains("members.1.1.weight"), "{missing}");
}

#[test]
fn nine_tenths_of_the_scored_rows_lie_in_the_interval_of_nine_tenths() {
    let fitted = fit(&table(3000), "target=y ignore=class,group,day epochs=4 quantiles=0.05,0.95").unwrap();
    let (nominal, measured) = fitted.coverage.unwrap();
    // 300 rows: two standard errors are 3.5 points.
    assert!((nominal - 0.9).abs() < 1e-12 && (measured - 0.9).abs() < 0.036, "{measured}");
}

#[test]
fn a_small_table_that_is_linear_is_left_to_the_linear_model() {
    // 150 rows to learn from, 1,350 to score on.
    let csv = table(1500);
    let ratio = |seed: u64| {
        let fitted = fit(&csv, &format!("target=y ignore=class,group,day test-fraction=0.9 seed={seed}")).unwrap();
        let (ours, linear) = (fitted.score.unwrap(), fitted.baseline.unwrap().0);
        main_metric(&ours).1 / main_metric(&linear).1
    };
    let ratios: Vec<f64> = (0..4).map(ratio).collect();
    assert!(ratios.iter().sum::<f64>() < 4.0 * 1.02 && ratios.iter().all(|ratio| *ratio < 1.05), "{ratios:?}");
}

#[test]
fn rows_of_a_group_have_one_role() {
    let csv = table(200);
    let fitted = fit(&csv, "target=y ignore=class,day group=group epochs=2").unwrap();
    // Whole groups of four are held back: 20 rows.
    assert_eq!((fitted.rows.scoring, fitted.rows.training, fitted.rows.folds), (20, 180, 6));
    assert!(fitted.model.encoder.columns().iter().all(|column| column.source != "group"));
}

#[test]
fn the_latest_rows_score() {
    let csv = table(200);
    let fitted = fit(&csv, "target=y ignore=class,group time=day epochs=2").unwrap();
    assert_eq!((fitted.rows.scoring, fitted.rows.choosing, fitted.rows.folds), (20, 27, 1));
    // Days 180 to 199 stand at rows with 7919·i mod 200 ≥ 180.
    let latest: Vec<usize> = (0..200).filter(|i| i * 7919 % 200 >= 180).collect();
    let table = Table::read_csv(csv.as_bytes(), "t.csv").unwrap();
    let (score, rows, _) = fitted.model.evaluate(&table, Some(&latest), None, &Processor::new(1)).unwrap();
    assert_eq!((rows, Some(score)), (20, fitted.score));
}

#[test]
fn balanced_classes_weigh_the_same() {
    // 30 of 300 rows are yes, and x tells nothing: the chance of yes is 0.1, or 0.5 where classes are balanced.
    let mut csv = String::from("x,y\n");
    (0..300).for_each(|i| writeln!(csv, "{},{}", (i * 37) % 101, if i % 10 == 0 { "yes" } else { "no" }).unwrap());
    let mean = |text: &str| {
        let model = fit(&csv, text).unwrap().model;
        let table = Table::read_csv(csv.as_bytes(), "t.csv").unwrap();
        let Predictions::Probabilities(p) = model.predict(&table, None, &Processor::new(1)).unwrap().0 else {
            panic!("chances")
        };
        (0..300).map(|i| p[(i, 1)]).sum::<f64>() / 300.0
    };
    let (plain, balanced) = (mean("target=y epochs=3"), mean("target=y epochs=3 class-weight=balanced"));
    assert!((plain - 0.1).abs() < 0.05 && (balanced - 0.5).abs() < 0.1, "{plain} {balanced}");
}

#[test]
fn copies_of_training_rows_among_the_scored_ones_are_noted() {
    let mut csv = table(100);
    let again: String = csv.lines().skip(1).map(|line| format!("{line}\n")).collect();
    csv += &again;
    let fitted = fit(&csv, NUMBER).unwrap();
    assert!(fitted.notes.iter().any(|note| note.contains("equal to a training row")), "{:?}", fitted.notes);
}

#[test]
fn a_score_has_the_standard_error_of_its_rows() {
    let fitted = fit(&table(400), CLASS).unwrap();
    let Some(Metrics::Classification(score)) = fitted.score else { panic!("a class") };
    let error = fitted.standard_error.unwrap();
    assert!(error > 0.0 && error < score.log_loss, "{error} of {}", score.log_loss);
}

#[test]
fn options_that_cannot_act_are_refused() {
    let csv = table(100);
    for (text, expected) in [
        (format!("{NUMBER} class-weight=balanced"), "only classes are balanced"),
        (format!("{CLASS} quantiles=0.1,0.9"), "a number to predict"),
        (format!("{NUMBER} quantiles=0.1,1"), "levels between 0 and 1"),
        (format!("{NUMBER} loss=quantile:0.1:0.9 quantiles=0.1"), "either --quantiles or the quantile loss"),
        ("target=y preset=plain quantiles=0.1,0.9 epochs=2".into(), "rows that choose"),
        (format!("{NUMBER} group=a time=b"), "not together"),
        (format!("{NUMBER} group=nobody"), "nobody"),
        (format!("{NUMBER} effort=most"), "did you mean"),
        (format!("{NUMBER} folds=0"), "folds"),
        (format!("{NUMBER} cv=1"), "from 2 to 100"),
        (format!("{NUMBER} cv=3 test-fraction=0.2"), "scores every row"),
        ("target=y cv=3 time=day".into(), "only the latest rows"),
        (format!("{NUMBER} members=x"), "members"),
        (format!("{NUMBER} hidden=none members=4"), "nothing to share"),
        (format!("{NUMBER} embedding=piecewise"), "piecewise:BINS:WIDTH"),
        (format!("{NUMBER} norm=layer members=4"), "norms before the members"),
    ] {
        let error = fit(&csv, &text).map(|_| "no error".to_owned()).unwrap_or_else(|error| error);
        assert!(error.contains(expected) && !error.contains('\n'), "{text}: {error}");
    }
}

#[test]
fn a_budget_buys_folds_and_then_epochs() {
    let csv = table(100);
    let table = Table::read_csv(csv.as_bytes(), "t.csv").unwrap();
    let tables = Tables { table: &table, test: None, validation: None, start: None };
    let trial = recipe::Trial { rows: 1000, learnt: 850.0, epoch_seconds: 0.1, threads: 2 };
    let chosen = |seconds: f64, text: &str| {
        let chosen = recipe::Plan::within(&options(text), &tables, seconds, &trial).unwrap();
        (chosen.get("folds").map(str::to_owned), chosen.get("epochs").map(str::to_owned))
    };
    let some = |text: &str| Some(text.to_owned());
    // With two threads two folds of 20 epochs take 20 · 0.1 · 500/850 s = 1.2 s, four 3.5 s.
    assert_eq!(chosen(4.0, "target=y epochs=20"), (some("4"), some("20")));
    assert_eq!(chosen(1.3, "target=y epochs=20"), (some("2"), some("20")));
    assert_eq!(chosen(0.5, "target=y"), (some("1"), some("5")));
    assert_eq!(chosen(0.0, "target=y"), (some("1"), some("1")));
    // What the person fixed stays.
    assert_eq!(chosen(1000.0, "target=y folds=3"), (some("3"), None));
}

#[test]
fn cross_validation_scores_each_fold_by_a_model_of_the_others_and_keeps_one_of_all_rows() {
    let csv = table(90);
    let crossed = fit(&csv, &format!("{NUMBER} cv=3 folds=2")).unwrap();
    let found = crossed.cross_validation.unwrap();
    // Fold f holds the permutation's places f, f + 3, …; the same rows as two files give the same score.
    let lines: Vec<&str> = csv.lines().collect();
    let permutation = default_rng([0, 2, 0]).permutation(90);
    for fold in 0..3 {
        let scored: Vec<usize> = permutation.iter().skip(fold).step_by(3).copied().collect();
        let part = |scores: bool| {
            let rows = (0..90).filter(|row| scored.contains(row) == scores).map(|row| lines[1 + row]);
            let text = [lines[0]].into_iter().chain(rows).collect::<Vec<_>>().join("\n");
            Table::read_csv(text.as_bytes(), "t.csv").unwrap()
        };
        let (rest, test) = (part(false), part(true));
        let tables = Tables { table: &rest, test: Some(&test), validation: None, start: None };
        let mut watch = |_: chainrule::train::Event<'_>| ControlFlow::Continue(());
        let options = options(&format!("{NUMBER} folds=2"));
        let alone = recipe::fit(&tables, &options, &Processor::new(2), &mut |_| {}, &mut watch).unwrap();
        assert_eq!(alone.score.as_ref(), Some(&found.scores[fold]));
        assert_eq!(alone.baseline.map(|(linear, _)| linear).as_ref(), Some(&found.baselines[fold]));
    }
    let whole = fit(&csv, &format!("{NUMBER} test-fraction=0 folds=2")).unwrap();
    assert_eq!((crossed.score, crossed.model.network), (None, whole.model.network));
    assert_eq!(crossed.model.facts["cross_validation"]["folds"], 3);
}

#[test]
fn cross_validation_deals_groups_as_wholes_and_needs_enough_of_them() {
    let csv = table(24);
    let text = "target=y ignore=class,day group=group epochs=2 hidden=4 members=1 embedding=none folds=1";
    assert!(fit(&csv, &format!("{text} cv=6")).unwrap().cross_validation.is_some());
    let error = fit(&csv, &format!("{text} cv=7")).unwrap_err();
    assert_eq!(error, "cv: expected at most 6 folds, one for each row or group, got 7");
}

#[test]
fn a_stopped_cross_validation_keeps_the_model_in_hand_and_says_so() {
    let table = Table::read_csv(table(60).as_bytes(), "t.csv").unwrap();
    let tables = Tables { table: &table, test: None, validation: None, start: None };
    let options = options(&format!("{NUMBER} cv=3 folds=1"));
    let (mut epochs, mut planned) = (0, 0);
    let mut watch = |event: chainrule::train::Event<'_>| {
        if let chainrule::train::Event::Epoch(epoch) = event {
            epochs = epoch.epoch;
        }
        if epochs >= 8 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut started = |start: &recipe::Start| planned = start.epochs;
    let fitted = recipe::fit(&tables, &options, &Processor::new(1), &mut started, &mut watch).unwrap();
    assert_eq!((epochs, planned), (8, 24));
    assert!(fitted.score.is_some() && fitted.cross_validation.is_none());
    let note = "the cross-validation was stopped: the model learnt without fold 2 of 3, which scores it";
    assert_eq!(fitted.notes.last().unwrap(), note);
}

/// y₁ = 3a − 2b and y₂ = a·b, in other units, with a gap in each.
fn two_targets() -> String {
    let mut random = default_rng(9);
    let mut csv = String::from("a,b,first,second\n");
    for i in 0..200 {
        let (a, b) = (random.uniform(0.0, 4.0).unwrap(), random.uniform(-1.0, 1.0).unwrap());
        let first = if i == 7 { String::new() } else { (3.0 * a - 2.0 * b).to_string() };
        let second = if i == 9 { String::new() } else { (1000.0 * a * b + 5000.0).to_string() };
        writeln!(csv, "{a},{b},{first},{second}").unwrap();
    }
    csv
}

#[test]
fn two_numbers_are_predicted_each_in_its_own_units_and_come_back_from_the_file() {
    let csv = two_targets();
    let fitted = fit(&csv, "target=first,second folds=2 seed=1").unwrap();
    assert_eq!(fitted.rows.training + fitted.rows.scoring, 198);
    let Some(Metrics::Several(scores)) = &fitted.score else { panic!("{:?}", fitted.score) };
    assert_eq!(scores.keys().collect::<Vec<_>>(), ["first", "second"]);
    for (name, scores) in scores {
        assert!(scores.r2.unwrap() > 0.8, "{name}: {scores:?}");
    }
    let bytes = fitted.model.to_file().unwrap().write_bytes().unwrap();
    let model = Model::from_file(&ModelFile::read_bytes(&bytes).unwrap()).unwrap();
    let table = Table::read_csv(csv.as_bytes(), "t.csv").unwrap();
    let (Predictions::Numbers { values, others, .. }, _) = model.predict(&table, None, &Processor::new(1)).unwrap()
    else {
        panic!("numbers");
    };
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!((4.0..8.0).contains(&mean(&values)) && (4000.0..6000.0).contains(&mean(&others[0])));
    // The scores are those of each number by itself.
    let (metrics, rows, _) = model.evaluate(&table, None, None, &Processor::new(1)).unwrap();
    let Metrics::Several(all) = metrics else { panic!("several") };
    let truth = |row: usize| csv.lines().nth(row + 1).unwrap().split(',').nth(3).unwrap().parse::<f64>();
    let squares = (0..200).filter(|&row| row != 7).filter_map(|row| Some(truth(row).ok()? - others[0][row]));
    assert!(
        (all["second"].rmse - (squares.map(|miss| miss * miss).sum::<f64>() / rows as f64).sqrt()).abs()
            < 1e-9 * all["second"].rmse
    );
}

#[test]
fn a_column_with_a_comma_in_its_name_is_one_target() {
    let mut csv = String::from("a,\"x,y\"\n");
    (0..60).for_each(|i| writeln!(csv, "{i},{}", 2.5 * f64::from(i)).unwrap());
    let fitted = fit(&csv, "target=x,y epochs=1 folds=1").unwrap();
    assert_eq!(fitted.model.target.columns().collect::<Vec<_>>(), ["x,y"]);
    assert!(fit(&csv, "target=a,y epochs=1").unwrap_err().contains('y'));
}

#[test]
fn several_targets_are_numbers_and_have_no_quantiles() {
    let csv = table(60);
    for (text, expected) in [
        ("target=y,class", "class"),
        ("target=y,a task=classification", "one column at a time"),
        ("target=y,a quantiles=0.1,0.9", "one target for quantiles"),
        ("target=y,a loss=quantile:0.1:0.9", "one target for quantiles"),
        ("target=y,a class-weight=balanced", "only classes are balanced"),
        ("target=y,nobody", "nobody"),
    ] {
        let error = fit(&csv, &format!("{text} ignore=group,day epochs=2")).unwrap_err();
        assert!(error.contains(expected) && !error.contains('\n'), "{text}: {error}");
    }
}
