// event-listener | 5.3.0 | 5.3.1 | | | a notification is lost, for an old count of listeners is read
use event_listener::{Event, Listener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

#[test]
fn defect() {
    let shared = Arc::new((AtomicBool::new(false), Event::new()));
    let other = Arc::clone(&shared);
    let thread = thread::spawn(move || {
        other.0.store(true, Ordering::Release);
        other.1.notify(1);
    });
    while !shared.0.load(Ordering::Acquire) {
        let listener = shared.1.listen();
        if shared.0.load(Ordering::Acquire) {
            break;
        }
        listener.wait();
    }
    thread.join().unwrap();
}
