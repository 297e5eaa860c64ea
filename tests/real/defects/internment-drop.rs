// internment | 0.3.13 | 0.4.2 | |  | RUSTSEC-2020-0017: the last owner frees what another thread is about to share
use internment::ArcIntern;
use std::thread;

#[test]
fn defect() {
    let threads: Vec<_> = (0..2)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..2 {
                    let interned = ArcIntern::new("text".to_owned());
                    assert_eq!(interned.as_str(), "text");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
