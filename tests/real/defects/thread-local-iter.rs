// thread_local | 1.1.3 | 1.1.4 | |  | RUSTSEC-2022-0006: values are read while another thread inserts
use std::sync::Arc;
use std::thread;
use thread_local::ThreadLocal;

#[test]
fn defect() {
    let values: Arc<ThreadLocal<u32>> = Arc::new(ThreadLocal::new());
    let threads: Vec<_> = (0..3)
        .map(|_| {
            let values = Arc::clone(&values);
            thread::spawn(move || *values.get_or(|| 7))
        })
        .collect();
    assert!(values.iter().all(|value| *value == 7));
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 7);
    }
}
