use std::{
    io::{Read, Write},
    net::TcpStream,
};

use klatch_tests::services::process::free_port;

use super::place::{PASSWORD, Place, until};

/// What it answers to these commands, after signing in.
fn ask(port: u16, password: &str, commands: &[&str]) -> Option<String> {
    let mut socket = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let mut text = format!("AUTH klatch {password}\r\n");
    commands.iter().for_each(|command| text.push_str(&format!("{command}\r\n")));
    socket.write_all(format!("{text}QUIT\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    Some(answer)
}

#[test]
fn either_password_opens_what_klatch_needs_and_nothing_else() {
    let place = Place::new();
    let port = free_port();
    let conf = Place::rendered("redis", "redis.conf").replace("port 6379", &format!("port {port}"));
    place.write("redis.conf", &conf.replace("bind * -::*", "bind 127.0.0.1"));
    place.write(
        "settings.yaml",
        &format!(
            "configurationFile: {}\npasswordFiles: [{}, {}]\nrun: {}\n",
            place.text("redis.conf"),
            place.text("a"),
            place.text("b"),
            place.text("run")
        ),
    );
    let _redis = place.start(&["redis"], &[]);
    until("it answers", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    // Each command that the bus and its scripts use, on keys as it names them.
    let used = [
        "SET klatch:x 1",
        "GET klatch:x",
        "SET {klatch:leases}x 1 EX 10",
        "GETRANGE klatch:x 0 1",
        "EXPIRE klatch:x 10",
        "PERSIST klatch:x",
        "HSET klatch:h a 1",
        "HGET klatch:h a",
        "HGETALL klatch:h",
        "HLEN klatch:h",
        "HDEL klatch:h a",
        "RPUSH klatch:l 1",
        "LINDEX klatch:l 0",
        "LREM klatch:l 0 1",
        "SADD klatch:s 1",
        "SCARD klatch:s",
        "SRANDMEMBER klatch:s",
        "SREM klatch:s 1",
        "ZADD klatch:z 1 a",
        "ZRANGEBYSCORE klatch:z 0 1",
        "ZREM klatch:z a",
        "TIME",
        "ROLE",
        "INFO server",
        "DEL klatch:x",
        "EVAL \"return redis.call('GET',KEYS[1])\" 1 klatch:x",
        "SCRIPT LOAD \"return 1\"",
        "PUBLISH klatch:signals:0 x",
        "SPUBLISH {klatch:stream:1} x",
    ];
    for password in [PASSWORD, PASSWORD.replace('0', "f").as_str()] {
        let answer = ask(port, password, &used).unwrap();
        assert!(!answer.contains("NOPERM") && !answer.contains("-ERR"), "{answer}");
        assert!(answer.starts_with("+OK"), "{answer}");
    }
    let refused =
        ["GET other:x", "SET klatchx 1", "KEYS *", "FLUSHALL", "CONFIG GET maxmemory", "ACL LIST", "PUBLISH other x"];
    let answer = ask(port, PASSWORD, &refused).unwrap();
    assert_eq!(answer.matches("NOPERM").count(), refused.len(), "{answer}");
    assert!(ask(port, "wrong", &[]).unwrap().contains("WRONGPASS"));
    let mut socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
    socket.write_all(b"GET klatch:x\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("NOAUTH"), "nobody comes in without a name: {answer}");
}
