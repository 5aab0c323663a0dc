//! A log as it is held.

use klatch_domain::{Generation, Seq};

use super::super::settings::EARLY_ENTRIES;
use super::super::timeline::{News, Put, Timeline};
use super::{Kind, at, change, json, said};

fn timeline(bound: usize) -> Timeline {
    let mut timeline = Timeline::new(bound, None);
    timeline.adopt(Generation(1), &mut News::default());
    timeline
}

fn put(timeline: &mut Timeline, seq: u64) -> (Put, Vec<u64>) {
    let mut news = News::default();
    let put = timeline.put(said(seq), &mut news);
    (put, news.appended.iter().map(|entry| entry.position.seq.0).collect())
}

fn held(timeline: &Timeline) -> Vec<u64> {
    timeline.rows().map(|row| row.position.seq.0).collect()
}

#[test]
fn what_is_early_waits_for_its_predecessors() {
    let mut timeline = timeline(100);
    assert_eq!(put(&mut timeline, 1), (Put::Taken, vec![1]));
    assert_eq!(put(&mut timeline, 4), (Put::Early, vec![]));
    assert_eq!(put(&mut timeline, 3), (Put::Early, vec![]));
    assert!(timeline.is_behind());
    assert_eq!(put(&mut timeline, 2), (Put::Taken, vec![2, 3, 4]));
    assert!(!timeline.is_behind());
    assert_eq!(put(&mut timeline, 2), (Put::Taken, vec![]), "met twice, shown once");
    assert_eq!((held(&timeline), timeline.position()), (vec![1, 2, 3, 4], at(1, 4)));
}

#[test]
fn generations_are_never_mixed() {
    let mut timeline = timeline(100);
    put(&mut timeline, 1);
    let of = |generation: u64, seq: u64| klatch_domain::Entry { position: at(generation, seq), ..said(seq) };
    let mut news = News::default();
    assert_eq!(timeline.put(of(2, 2), &mut news), Put::Newer);
    assert_eq!(held(&timeline), [1]);
    timeline.restart(Generation(2));
    assert_eq!((held(&timeline), timeline.position()), (vec![], at(2, 0)));
    assert_eq!(timeline.put(of(1, 1), &mut news), Put::Stale);
    assert!(!timeline.is_behind() && news.appended.is_empty());
    assert_eq!(timeline.put(of(2, 1), &mut news), Put::Taken);
}

#[test]
fn nothing_is_shown_before_the_generation_is_known() {
    let mut timeline = Timeline::new(100, None);
    assert_eq!(put(&mut timeline, 1), (Put::Early, vec![]));
    let mut news = News::default();
    timeline.adopt(Generation(1), &mut news);
    assert_eq!(news.appended.len(), 1);
}

#[test]
fn early_entries_are_bounded_and_the_farthest_is_remembered() {
    let mut timeline = timeline(10_000);
    let mut news = News::default();
    for seq in 2..EARLY_ENTRIES as u64 + 12 {
        let entry = klatch_domain::Entry { position: at(1, seq), ..said(1) };
        timeline.put(entry, &mut news);
    }
    timeline.put(said(1), &mut news);
    assert_eq!(news.appended.len(), EARLY_ENTRIES + 1);
    assert!(timeline.is_behind(), "the known head asks for what was dropped");
}

#[test]
fn old_rows_are_let_go_and_loaded_again() {
    let mut timeline = timeline(3);
    for seq in 1..=5 {
        put(&mut timeline, seq);
    }
    assert_eq!((held(&timeline), timeline.floor()), (vec![3, 4, 5], Seq(2)));
    let mut news = News::default();
    assert_eq!(timeline.prepend(vec![said(1), said(2)], &mut news), 0, "there is no room for them");
    let mut roomy = self::timeline(100);
    roomy.jump(at(1, 4), &mut news);
    assert_eq!(roomy.prepend(vec![said(1), said(2)], &mut news), 0, "not next to the run");
    assert_eq!(roomy.prepend(vec![said(2), said(3), said(4), said(5)], &mut news), 3);
    assert_eq!((held(&roomy), roomy.floor()), (vec![2, 3, 4], Seq(1)));
    assert_eq!(news.older.iter().map(|entry| entry.position.seq.0).collect::<Vec<_>>(), [2, 3, 4]);
}

#[test]
fn a_newer_state_of_a_row_wins_and_an_older_one_does_not() {
    let mut timeline = timeline(100);
    put(&mut timeline, 1);
    let mut news = News::default();
    timeline.put(change(2, Kind::Edit, 1, &json!({"text": "edited"})), &mut news);
    assert_eq!(timeline.row(Seq(1)).unwrap().content, super::text("edited"));
    assert_eq!(timeline.row(Seq(1)).unwrap().changed_seq, Some(Seq(2)));
    // The row as it was read before the edit.
    timeline.put(said(1), &mut News::default());
    assert_eq!(timeline.row(Seq(1)).unwrap().content, super::text("edited"));
    let later = klatch_domain::Entry { changed_seq: Some(Seq(7)), content: super::text("later"), ..said(1) };
    let mut news = News::default();
    timeline.put(later, &mut news);
    assert_eq!(timeline.row(Seq(1)).unwrap().content, super::text("later"));
    assert!(news.updated.contains(&Seq(1)));
}
