//! The command line as people and scripts use it: the real binary, its files, its output, its exit codes.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Output, Stdio},
    sync::{Arc, mpsc},
};

use klatch_client_sdk::{Client, Credentials, Options, Session, SharedSession};
use klatch_tests::{
    encrypted_front::{AUTHORITY, EncryptedFront},
    klatch_process::{Start, Up, binary, failed, owner, run, succeeded},
    person::PATIENCE,
};
use serde_json::{Value, json};
use tempfile::TempDir;

const PASSWORD: &str = "correct horse battery staple";

/// Someone at a shell, with a session file of their own.
struct Shell {
    folder: TempDir,
}

impl Shell {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// Signed up as this user.
    fn signed_up(up: &Up, name: &str) -> Self {
        let shell = Self::new();
        succeeded(&shell.run_with(&["sign-up", name, "--server", &up.url, "--password-stdin"], PASSWORD));
        shell
    }

    fn session_file(&self) -> PathBuf {
        self.folder.path().join("kept/session.json")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(arguments).env("KLATCH_SESSION_FILE", self.session_file());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> Output {
        run(&mut self.command(arguments), input)
    }

    fn tail(&self, arguments: &[&str]) -> Tail {
        Tail::start(self.command(arguments))
    }
}

/// A running `klatch tail`, killed with the test.
struct Tail {
    child: Child,
    lines: mpsc::Receiver<Value>,
}

impl Tail {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .env_remove("KLATCH_SERVER")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (tell, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines() {
                let line = serde_json::from_str(&line.unwrap()).expect("one JSON object a line");
                if tell.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> Value {
        self.lines.recv_timeout(PATIENCE).expect("a line in time")
    }

    /// The next entry of this kind.
    fn next_of(&self, kind: &str) -> Value {
        loop {
            let line = self.next();
            if line["entry"]["kind"] == kind {
                return line["entry"].clone();
            }
        }
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn one_line(output: &Output) -> Value {
    let text = succeeded(output);
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(&text).expect("JSON")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn two_people_say_and_tail() {
    let up = Start::default().ready();
    let (ada, bob) = (Shell::signed_up(&up, "ada"), Shell::signed_up(&up, "bob"));
    assert_eq!(mode(&ada.session_file()), 0o600);
    assert_eq!(mode(ada.session_file().parent().unwrap()), 0o700);

    let said = one_line(&ada.run(&["say", "@bob", "hello", "bob"]));
    let room = said["room"].as_str().unwrap();
    let tail = bob.tail(&["tail", "@ada", "--from", "1"]);
    assert_eq!(tail.next_of("text")["content"]["text"], "hello bob");
    // Live, by the room's id, from standard input, with line breaks.
    let said = one_line(&ada.run_with(&["say", room], "two\nlines\n"));
    let heard = tail.next_of("text");
    assert_eq!((&heard["content"]["text"], &heard["position"]), (&json!("two\nlines"), &said["position"]));
    succeeded(&ada.run_with(&["say", room, "-"], "a dash reads it too"));
    assert_eq!(tail.next_of("text")["content"]["text"], "a dash reads it too");

    let listed = one_line(&bob.run(&["rooms"]));
    assert_eq!((&listed["id"], &listed["peer"]["username"]), (&json!(room), &json!("ada")));
    assert_eq!(listed["last_message"]["content"]["text"], "a dash reads it too");
}

#[test]
fn a_tail_survives_a_restart_of_the_server() {
    let mut up = Start::default().ready();
    let (ada, bob) = (Shell::signed_up(&up, "ada"), Shell::signed_up(&up, "bob"));
    succeeded(&ada.run(&["say", "@bob", "before"]));
    let tail = bob.tail(&["tail", "@ada", "--from", "1"]);
    assert_eq!(tail.next_of("text")["content"]["text"], "before");
    up.kill();
    // The same port, as the sessions name it.
    let address = up.address().to_owned();
    up.start_again(&Start::default().listen(&address));
    succeeded(&ada.run(&["say", "@bob", "after"]));
    assert_eq!(tail.next_of("text")["content"]["text"], "after");
}

/// A terminal around a command: `script` (util-linux) makes one.
struct Terminal {
    child: Child,
    input: ChildStdin,
    shown: mpsc::Receiver<u8>,
}

impl Terminal {
    fn start(shell: &Shell, arguments: &str) -> Self {
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--flush", "--command"])
            .arg(format!("{} {arguments}", binary().display()))
            .arg("/dev/null")
            .env("KLATCH_SESSION_FILE", shell.session_file())
            .env("TERM", "xterm")
            .env_remove("NO_COLOR")
            .env_remove("KLATCH_PASSWORD")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (input, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (tell, shown) = mpsc::channel();
        std::thread::spawn(move || {
            for byte in BufReader::new(out).bytes() {
                if tell.send(byte.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { child, input, shown }
    }

    /// What is shown until this comes.
    fn until(&self, wanted: &str) -> String {
        let mut shown = Vec::new();
        while !String::from_utf8_lossy(&shown).contains(wanted) {
            shown.push(
                self.shown
                    .recv_timeout(PATIENCE)
                    .unwrap_or_else(|_| panic!("{wanted:?} does not come, but {:?}", String::from_utf8_lossy(&shown))),
            );
        }
        String::from_utf8(shown).unwrap()
    }

    fn types(&mut self, text: &str) {
        self.input.write_all(text.as_bytes()).unwrap();
        self.input.flush().unwrap();
    }

    /// What is shown until it ends, and how it ends.
    fn end(&mut self) -> (String, Option<i32>) {
        let rest: Vec<u8> = self.shown.iter().collect();
        (String::from_utf8(rest).unwrap(), self.child.wait().unwrap().code())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_password_is_not_shown_and_a_message_cannot_steer_the_terminal() {
    let up = Start::default().ready();
    let ada = Shell::new();
    let mut terminal = Terminal::start(&ada, &format!("sign-up ada --server {}", up.url));
    terminal.until("Password for ada: ");
    terminal.types("correct house\u{7f}\u{7f}\u{7f}rse\r");
    let between = terminal.until("Again: ");
    terminal.types("correct horse\r");
    let (after, code) = terminal.end();
    assert_eq!(code, Some(0), "{after}");
    assert!(after.contains("signed in as ada"), "{after}");
    assert!(!between.contains("correct") && !after.contains("correct"), "{between}{after}");
    // Broken off: nothing is changed, and the terminal echoes again.
    let mut terminal = Terminal::start(&ada, &format!("sign-in ada --server {}", up.url));
    terminal.until("Password of ada: ");
    terminal.types("\u{3}");
    let (after, code) = terminal.end();
    assert_eq!((code, after.contains("broken off")), (Some(1), true), "{after}");

    succeeded(&ada.run(&["new-room", "notes"]));
    succeeded(&ada.run(&["say", "notes", "\u{1b}]0;owned\u{7}\u{1b}[2Jhello"]));
    let terminal = Terminal::start(&ada, "tail notes");
    let shown = terminal.until("hello");
    assert!(shown.contains("\\u{1b}]0;owned\\u{7}\\u{1b}[2Jhello"), "{shown:?}");
    assert!(shown.contains("\u{1b}[1m") || shown.contains("\u{1b}[2m"), "a terminal gets colours: {shown:?}");
}

#[test]
fn groups_go_by_their_name_while_it_is_one() {
    let up = Start::default().ready();
    let (ada, bob) = (Shell::signed_up(&up, "ada"), Shell::signed_up(&up, "bob"));
    let made = one_line(&ada.run(&["new-room", "the kitchen", "bob"]));
    assert_eq!((&made["name"], &made["member_count"]), (&json!("the kitchen"), &json!(2)));
    succeeded(&bob.run(&["say", "the kitchen", "coffee"]));
    assert!(failed(&bob.run(&["say", "the cellar", "wine"]), 3).contains("no group called the cellar"));
    assert!(failed(&ada.run(&["new-room", "x", "nobody"]), 3).contains("no user nobody"));
    let second = one_line(&ada.run(&["new-room", "the kitchen", "bob"]));
    let ambiguous = failed(&bob.run(&["say", "the kitchen", "tea"]), 3);
    assert!(ambiguous.contains(made["id"].as_str().unwrap()) && ambiguous.contains(second["id"].as_str().unwrap()));
    // A room one is not in does not exist.
    let eve = Shell::signed_up(&up, "eve");
    let refused = failed(&eve.run(&["tail", made["id"].as_str().unwrap()]), 3);
    assert!(refused.contains("room_not_found"), "{refused}");
}

#[test]
fn a_bot_posts_with_a_token_until_it_is_revoked() {
    let up = Start::default().ready();
    let ada = Shell::signed_up(&up, "ada");
    succeeded(&ada.run(&["new-room", "alerts"]));
    let token = succeeded(&ada.run(&["bot-token", "create", "ci"])).trim().to_owned();
    let bot = |arguments: &[&str]| {
        // By `env`, as `run` takes these away from what the developer's own shell has.
        let mut command = Command::new("env");
        command.arg(format!("KLATCH_BOT_TOKEN={token}")).arg(format!("KLATCH_SERVER={}", up.url));
        command.arg(binary()).args(arguments).env("HOME", "/nonexistent").env_remove("XDG_CONFIG_HOME");
        run(&mut command, "")
    };
    let said = one_line(&bot(&["say", "alerts", "build 42 failed"]));
    assert!(said["position"]["seq"].as_u64().unwrap() > 0);
    let listed = one_line(&ada.run(&["bot-token", "list"]));
    assert_eq!((&listed["name"], &listed["kind"]), (&json!("ci"), &json!("bot_token")));
    assert!(!succeeded(&ada.run(&["bot-token", "list"])).contains(&token));
    succeeded(&ada.run(&["bot-token", "revoke", "ci"]));
    assert!(failed(&bot(&["say", "alerts", "again"]), 3).contains("session_revoked"));
}

#[test]
fn exit_codes_tell_who_has_to_act() {
    let up = Start::default().ready();
    let nobody = Shell::new();
    assert!(failed(&nobody.run(&["rooms"]), 1).contains("you are not signed in"));
    assert!(failed(&nobody.run(&["sing-in"]), 2).contains("sign-in"), "a typing mistake gets a proposal");
    let wrong = ["sign-in", "ada", "--server", &up.url, "--password-stdin"];
    assert!(failed(&nobody.run_with(&wrong, "not the password"), 3).contains("unauthenticated"));
    assert!(!nobody.session_file().exists());
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nowhere = ["sign-in", "ada", "--server", &format!("http://{gone}"), "--password-stdin"];
    let unreachable = failed(&nobody.run_with(&nowhere, PASSWORD), 4);
    assert!(unreachable.contains("refused") && unreachable.contains("klatch doctor"), "{unreachable}");
    let version = succeeded(&nobody.run(&["version"]));
    assert!(version.starts_with("klatch 0."), "{version}");
}

#[test]
fn a_sign_out_ends_the_session_and_forgets_it() {
    let up = Start::default().ready();
    let ada = Shell::signed_up(&up, "ada");
    let copy = fs::read(ada.session_file()).unwrap();
    succeeded(&ada.run(&["sign-out"]));
    assert!(!ada.session_file().exists());
    assert!(failed(&ada.run(&["sign-out"]), 1).contains("you are not signed in"));
    // Not only forgotten: whoever has copied the file has nothing.
    fs::write(ada.session_file(), copy).unwrap();
    let over = failed(&ada.run(&["rooms"]), 3);
    assert!(over.contains("sign in again"), "{over}");
    succeeded(&ada.run_with(&["sign-in", "ada", "--server", &up.url, "--password-stdin"], PASSWORD));
    succeeded(&ada.run(&["rooms"]));
}

#[test]
fn commands_at_the_same_time_share_one_session() {
    let up = Start::default().ready();
    let ada = Shell::signed_up(&up, "ada");
    succeeded(&ada.run(&["new-room", "notes"]));
    let mut refreshed = Vec::new();
    for round in 0..3 {
        // As if the access token had run out: every command has to refresh, and each refresh token works once.
        let mut session: Value = serde_json::from_slice(&fs::read(ada.session_file()).unwrap()).unwrap();
        session["access_expires_at"] = json!("2020-01-01T00:00:00.000Z");
        refreshed.push(session["refresh_token"].as_str().unwrap().to_owned());
        fs::write(ada.session_file(), session.to_string()).unwrap();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let ada = &ada;
                scope.spawn(move || succeeded(&ada.run(&["say", "notes", &format!("{round} {number}")])));
            }
        });
        assert_eq!(mode(&ada.session_file()), 0o600);
    }
    refreshed.sort();
    refreshed.dedup();
    assert_eq!(refreshed.len(), 3, "each round made a new refresh token");
    assert!(succeeded(&ada.run(&["rooms"])).contains("notes"));
}

/// A long `tail` and a `say` beside it: the one goes on from what the other has refreshed meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_refreshed_elsewhere_is_taken_over() {
    struct Kept(Session);
    impl SharedSession for Kept {
        fn take(&self) -> std::io::Result<(Option<Session>, Box<dyn Send>)> {
            Ok((Some(self.0.clone()), Box::new(())))
        }
    }
    let up = Start::default().ready();
    let ada = Shell::signed_up(&up, "ada");
    let mut old: Session = serde_json::from_slice(&fs::read(ada.session_file()).unwrap()).unwrap();
    old.access_expires_at = klatch_domain::Timestamp::from_millis(0);
    fs::write(ada.session_file(), serde_json::to_vec(&old).unwrap()).unwrap();
    succeeded(&ada.run(&["rooms"]));
    let newer: Session = serde_json::from_slice(&fs::read(ada.session_file()).unwrap()).unwrap();
    assert_ne!(old.refresh_token, newer.refresh_token);

    // With a key of its own, as after the minute in which the server repeats an answer.
    old.refresh_key = uuid::Uuid::new_v4();
    let open = |shared: Option<Arc<dyn SharedSession>>| {
        let options = Options { shared_session: shared, ..Options::default() };
        Client::connect(&up.url, Credentials::Session(Box::new(old.clone())), options)
    };
    let client = open(Some(Arc::new(Kept(newer)))).await.unwrap();
    assert!(client.rooms().await.unwrap().is_empty());
    client.close().await;
    // Without that the server sees a stolen token, and ends the session.
    let reused = open(None).await.err().and_then(|error| error.code());
    assert_eq!(reused, Some(klatch_domain::Code::SessionRevoked));
}

#[test]
fn the_doctor_says_what_is_wrong() {
    let findings = |output: &Output| -> Vec<Value> {
        String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let state = |findings: &[Value], check: &str| {
        let found = findings.iter().find(|finding| finding["check"] == check);
        found.unwrap_or_else(|| panic!("{check} in {findings:?}"))["state"].as_str().unwrap().to_owned()
    };
    let mut up = Start::default().ready();
    let good = owner(&up.data, &["doctor", "--json", "--server", &up.url], "");
    let found = findings(&good);
    assert_eq!(good.status.code(), Some(0), "{found:?}");
    for check in ["data_folder", "lock", "keys", "database", "server", "ready", "websocket", "server_clock"] {
        assert_eq!(state(&found, check), "ok", "{found:?}");
    }
    assert!(found.iter().any(|finding| finding["detail"].as_str().unwrap().contains(&up.pid().to_string())));
    up.stop();

    fs::set_permissions(&up.data, fs::Permissions::from_mode(0o755)).unwrap();
    let output = owner(&up.data, &["doctor", "--json", "--server", &up.url], "");
    let found = findings(&output);
    assert_eq!((output.status.code(), state(&found, "data_folder").as_str()), (Some(1), "warn"));
    assert_eq!(state(&found, "server"), "fail");

    let shard = up.data.join("shard-0.sqlite");
    let mut bytes = fs::read(&shard).unwrap();
    for byte in bytes.iter_mut().skip(4_096).take(8_192) {
        *byte ^= 0x5a;
    }
    fs::write(&shard, bytes).unwrap();
    let output = owner(&up.data, &["doctor", "--json"], "");
    assert_eq!((output.status.code(), state(&findings(&output), "lock").as_str()), (Some(1), "ok"));
    let text = String::from_utf8_lossy(&owner(&up.data, &["doctor"], "").stdout).into_owned();
    assert!(text.contains("fail database: shard-0.sqlite") && text.contains("klatch restore"), "{text}");

    let nothing = up.data.join("nothing");
    let output = owner(&nothing, &["doctor", "--json"], "");
    assert_eq!(state(&findings(&output), "data_folder"), "ok", "one that is not there yet is made by up");
    assert!(!nothing.exists(), "the doctor changes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_believes_the_authority_that_the_environment_names() {
    let up = Start::default().ready();
    let front = EncryptedFront::before(&up.url).await;
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority.pem");
    fs::write(&authority, AUTHORITY).unwrap();
    let states = |ca_file: &str| -> Vec<(String, String)> {
        let mut doctor = Command::new(binary());
        doctor
            .args(["doctor", "--json", "--server", &front.url, "--data"])
            .arg(&up.data)
            .env("KLATCH_CA_FILE", ca_file);
        let output = tokio::task::block_in_place(|| run(&mut doctor, ""));
        let words = |finding: &Value, name: &str| finding[name].as_str().unwrap().to_owned();
        let lines = String::from_utf8_lossy(&output.stdout).into_owned();
        let findings = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        findings.map(|finding| (words(&finding, "check"), words(&finding, "state"))).collect()
    };
    let state = |states: &[(String, String)], check: &str| {
        states.iter().find(|(name, _)| name == check).map(|(_, state)| state.clone())
    };

    let believed = states(authority.to_str().unwrap());
    for check in ["server", "ready", "websocket"] {
        assert_eq!(state(&believed, check).as_deref(), Some("ok"), "{believed:?}");
    }
    let unknown = states("");
    assert_eq!(state(&unknown, "server").as_deref(), Some("fail"), "{unknown:?}");
    let missing = states("/nonexistent/authority.pem");
    assert_eq!(state(&missing, "authorities").as_deref(), Some("fail"), "{missing:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let up = Start::default().ready();
    let ada = Shell::signed_up(&up, "ada");
    succeeded(&ada.run(&["new-room", "notes"]));
    for text in ["one", "two", "three"] {
        succeeded(&ada.run(&["say", "notes", text]));
    }
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "\"$0\" tail notes --from 1 | head -n 1"])
        .arg(binary())
        .env("KLATCH_SESSION_FILE", ada.session_file());
    let output = run(&mut shell, "");
    assert_eq!(succeeded(&output).lines().count(), 1);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}
