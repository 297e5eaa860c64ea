// tokio | 1.44.1 | 1.44.2 | features = ["sync"] | | RUSTSEC-2025-0023: values that are not Sync are cloned by two at a time
use std::cell::Cell;
use std::thread;
use tokio::sync::broadcast;

struct Counted(Cell<u32>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.set(self.0.get() + 1);
        Self(self.0.clone())
    }
}

#[test]
fn defect() {
    let (sender, mut first) = broadcast::channel(2);
    let mut second = sender.subscribe();
    assert!(sender.send(Counted(Cell::new(0))).is_ok());
    let thread = thread::spawn(move || second.try_recv().is_ok());
    assert!(first.try_recv().is_ok());
    assert!(thread.join().unwrap());
}
