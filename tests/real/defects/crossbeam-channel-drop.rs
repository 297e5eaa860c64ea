// crossbeam-channel | 0.5.14 | 0.5.15 | |  | RUSTSEC-2025-0024: the first block of an unbounded channel is freed twice
use std::thread;

#[test]
fn defect() {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let other = sender.clone();
    let threads = [sender, other].map(|sender| {
        thread::spawn(move || {
            let _ = sender.send(1);
        })
    });
    drop(receiver);
    for thread in threads {
        thread.join().unwrap();
    }
}
