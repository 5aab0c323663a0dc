//! Edits, deletes and reactions.

use klatch_domain::{Content, Entry, Generation, Seq};

use super::super::timeline::{News, Timeline};
use super::{Kind, ME, OTHER, change, json, said, text};

fn timeline(entries: &[Entry]) -> Timeline {
    let mut timeline = Timeline::new(100, Some(ME));
    timeline.adopt(Generation(1), &mut News::default());
    put(&mut timeline, entries);
    timeline
}

fn put(timeline: &mut Timeline, entries: &[Entry]) -> Vec<u64> {
    let mut news = News::default();
    for entry in entries {
        timeline.put(entry.clone(), &mut news);
    }
    news.updated.iter().map(|seq| seq.0).collect()
}

fn reaction(seq: u64, user: klatch_domain::UserId, on: bool) -> Entry {
    let mut entry = change(seq, Kind::Reaction, 1, &json!({"emoji": "+1", "on": on}));
    entry.sender.user = user;
    entry
}

#[test]
fn an_edit_changes_its_target_and_a_delete_empties_both() {
    let mut timeline = timeline(&[said(1), said(2)]);
    assert_eq!(put(&mut timeline, &[change(3, Kind::Edit, 1, &json!({"text": "better"}))]), [1]);
    let row = timeline.row(Seq(1)).unwrap();
    assert_eq!((&row.content, row.edited_at.is_some(), row.deleted), (&text("better"), true, false));
    assert_eq!(put(&mut timeline, &[change(4, Kind::Delete, 1, &json!({}))]), [1, 3]);
    let row = timeline.row(Seq(1)).unwrap();
    assert_eq!((&row.content, row.deleted, row.kind.clone()), (&Content::empty(), true, Kind::Text));
    assert_eq!(timeline.row(Seq(3)).unwrap().content, Content::empty());
    assert_eq!(timeline.row(Seq(2)).unwrap(), &said(2), "others stay as they are");
}

#[test]
fn reactions_are_counted_by_user_and_taken_back() {
    let mut timeline = timeline(&[said(1), reaction(2, OTHER, true), reaction(3, ME, true), reaction(4, ME, true)]);
    let shown = |timeline: &Timeline| {
        let row = timeline.row(Seq(1)).unwrap();
        row.reactions.iter().map(|of| (of.emoji.clone(), of.count, of.mine)).collect::<Vec<_>>()
    };
    assert_eq!(shown(&timeline), [("+1".to_owned(), 2, Some(true))]);
    put(&mut timeline, &[reaction(5, ME, false)]);
    assert_eq!(shown(&timeline), [("+1".to_owned(), 1, Some(false))]);
    put(&mut timeline, &[reaction(6, OTHER, false)]);
    assert_eq!(shown(&timeline), []);
}

#[test]
fn a_row_loaded_later_gets_the_changes_that_are_held() {
    let mut timeline = Timeline::new(100, Some(ME));
    let mut news = News::default();
    timeline.jump(super::at(1, 2), &mut news);
    put(&mut timeline, &[change(3, Kind::Edit, 1, &json!({"text": "edited"})), reaction(4, ME, true)]);
    let mut news = News::default();
    timeline.prepend(vec![said(1), said(2)], &mut news);
    let row = timeline.row(Seq(1)).unwrap();
    assert_eq!((&row.content, row.changed_seq, row.reactions.len()), (&text("edited"), Some(Seq(4)), 1));
    assert_eq!(news.older[0].content, text("edited"), "told as it is now");
    assert!(!news.updated.contains(&Seq(1)), "and told once");
}

#[test]
fn a_row_newer_than_a_change_is_left_alone() {
    let newer = Entry { changed_seq: Some(Seq(9)), content: text("newest"), ..said(1) };
    let mut timeline = timeline(&[newer]);
    put(&mut timeline, &[change(2, Kind::Edit, 1, &json!({"text": "old"}))]);
    assert_eq!(timeline.row(Seq(1)).unwrap().content, text("newest"));
}
