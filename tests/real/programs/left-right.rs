//! Small programs over left-right, which has one test of its own.

use left_right::{Absorb, ReadHandle};
use loom::thread;

/// Sets both halves of a pair, which are to be equal for whoever looks.
struct Set(u32);

impl Absorb<Set> for (u32, u32) {
    fn absorb_first(&mut self, set: &mut Set, _: &Self) {
        *self = (set.0, set.0);
    }

    fn sync_with(&mut self, first: &Self) {
        *self = *first;
    }
}

fn look(reader: &ReadHandle<(u32, u32)>) -> u32 {
    let pair = reader.enter().unwrap();
    assert_eq!(pair.0, pair.1);
    pair.0
}

#[test]
fn a_reader_never_sees_half_a_change() {
    loom::model(|| {
        let (mut writer, reader) = left_right::new::<(u32, u32), Set>();
        let reads = thread::spawn(move || look(&reader));
        writer.append(Set(1)).publish();
        assert!(reads.join().unwrap() <= 1);
    });
}

#[test]
fn a_reader_does_not_go_back() {
    loom::model(|| {
        let (mut writer, reader) = left_right::new::<(u32, u32), Set>();
        let reads = thread::spawn(move || (look(&reader), look(&reader)));
        writer.append(Set(1)).publish();
        let (first, second) = reads.join().unwrap();
        assert!(first <= second && second <= 1);
    });
}

#[test]
fn a_reader_may_outlive_the_writer() {
    loom::model(|| {
        let (mut writer, reader) = left_right::new::<(u32, u32), Set>();
        let reads = thread::spawn(move || reader.enter().map(|pair| *pair));
        writer.append(Set(1)).publish();
        drop(writer);
        assert!(matches!(reads.join().unwrap(), None | Some((0, 0) | (1, 1))));
    });
}
