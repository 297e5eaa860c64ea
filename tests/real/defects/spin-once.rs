// spin | 0.9.7 | 0.9.8 | |  | RUSTSEC-2023-0031: others wait for an initialisation that fails
use spin::Once;
use std::sync::Arc;
use std::thread;

#[test]
fn defect() {
    let once: Arc<Once<Box<u32>>> = Arc::new(Once::new());
    let other = Arc::clone(&once);
    let thread = thread::spawn(move || other.try_call_once(|| Err::<Box<u32>, ()>(())).is_ok());
    if let Ok(value) = once.try_call_once(|| Ok::<_, ()>(Box::new(7))) {
        assert_eq!(**value, 7);
    }
    let _ = thread.join().unwrap();
}
