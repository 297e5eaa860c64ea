// tokio | 1.13.0 | 1.13.1 | features = ["sync"] | | RUSTSEC-2021-0124: send and try_recv meet after close
use std::thread;
use tokio::sync::oneshot;

#[test]
fn defect() {
    let (sender, mut receiver) = oneshot::channel::<Box<u32>>();
    receiver.close();
    let thread = thread::spawn(move || sender.send(Box::new(1)).is_ok());
    let _ = receiver.try_recv();
    thread.join().unwrap();
}
