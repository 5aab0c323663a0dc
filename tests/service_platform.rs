//! What holds between the workloads as processes of their own, each on its own connections to real parts.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use klatch_bus::{
    Queries,
    http::{Options, PATH, Replicas, ServiceToken, queries},
};
use klatch_domain::Timestamp;
use klatch_settings::TraceSettings;
use klatch_tests::{
    klatch_process::{binary, failed, run, succeeded},
    person::{Ended, PASSWORD, PATIENCE, Person},
    platform::{Part, Platform},
    services::certificates::Certificates,
    trace_collector::{Collector, SAMPLED, UNSAMPLED, named, say},
};
use reqwest::{Client, Method, Url};
use serde_json::json;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// The sender and the receiver are on different gateways: the trace goes from one process through the broker to the writer's,
/// and through the broker to the third.
async fn one_message_is_one_trace(platform: &Platform, collector: &Collector) {
    let fronts = platform.fronts();
    let (ada, bob) = (Person::sign_up(&fronts[0], "ada").await, Person::sign_up(&fronts[1], "bob").await);
    let room = ada.direct(&bob).await;
    let (mut from, mut to) = (ada.connect().await, bob.connect().await);
    say(&mut from, room, "nobody looks", Some(UNSAMPLED)).await;
    say(&mut from, room, "look", Some(SAMPLED)).await;
    to.hears(room, "look").await;

    // The sender's gateway and the receiver's deliver: each holds a socket of a member.
    let spans = collector.spans_of(&SAMPLED[3..35], 4).await;
    let (send, append, fan_out) = (named(&spans, "send"), named(&spans, "append"), named(&spans, "fan_out"));
    assert_eq!(send.parent, &SAMPLED[36..52], "below the client's own span");
    assert_eq!(append.parent, send.id);
    assert_eq!(fan_out.parent, append.id);
    let delivered: Vec<_> = spans.iter().filter(|span| span.name == "deliver").collect();
    assert!(!delivered.is_empty() && delivered.iter().all(|span| span.parent == append.id), "{spans:?}");
    assert!(send.service.contains("gateway") && delivered.iter().all(|span| span.service == send.service), "{spans:?}");
    assert!(append.service.contains("message-service") && fan_out.service == append.service, "{spans:?}");
    assert!(send.begin <= append.begin && append.begin <= fan_out.begin, "one machine has one clock: {spans:?}");
    assert!(collector.all().iter().all(|span| span.trace == send.trace), "what is not sampled is not exported");
}

/// Gateways are answered by TLS and the service token, and nobody else.
async fn queries_go_by_tls_and_token(platform: &Platform) {
    let address = platform.internal()[0];
    let ask = |token: &str, ca: &str| {
        let url: Url = format!("https://{address}").parse().unwrap();
        let token = ServiceToken::parse(token).unwrap();
        let options =
            Options { ca: Some(ca.as_bytes().to_vec()), ..Options::new(Replicas::Addresses(vec![url]), token) };
        queries(options).unwrap()
    };
    let since = Timestamp::from_millis(0);
    let asked = async |queries: &dyn Queries| queries.revoked_since(since).await;
    let (token, authority) = (platform.service_token(), platform.authority());
    assert_eq!(asked(&*ask(token, authority)).await, Ok(vec![]));
    let refused = asked(&*ask(&token.to_uppercase(), authority)).await.unwrap_err();
    assert!(refused.reason.contains("401"), "{refused}");
    assert!(asked(&*ask(token, &Certificates::make().ca)).await.is_err(), "an authority that nobody trusts");
    let plain = Client::new().post(format!("http://{address}{PATH}/members")).bearer_auth(token).body("{}");
    assert!(plain.send().await.is_err(), "in clear text nobody is answered");
}

/// What was announced is heard a moment later.
async fn is_locked_out(person: &Person) {
    let begun = Instant::now();
    loop {
        let (status, body) = person.call(Method::GET, "/v1/users/me", None).await;
        if (status, body["code"].as_str()) == (401, Some("session_revoked")) {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{} still knows them: {status} {body}", person.server);
        tokio::time::sleep(LOOK).await;
    }
}

/// As an owner does it in a pod of api. What another api believes and what gateways hold changes with it.
async fn users_are_made_and_locked_out_beside_the_api(platform: &Platform) {
    let settings = platform.settings(Part::Api(1)).display().to_string();
    let user = |arguments: &[&str], input: &str| {
        let mut command = Command::new(binary());
        command.arg("user").args(arguments).args(["--settings", &settings]);
        run(&mut command, input)
    };
    let add = |name: &str| user(&["add", name, "--password-stdin"], PASSWORD);
    succeeded(&add("cleo"));
    assert!(failed(&add("cleo"), 3).contains("the username is taken"));
    let fronts = platform.fronts();
    let cleo = Person::sign_in(&fronts[0], "cleo").await;
    let mut sockets = [cleo.connect().await, cleo.at(&fronts[1]).connect().await];

    let told = user(&["disable", "cleo"], "");
    assert!(String::from_utf8_lossy(&told.stderr).contains("may not sign in any more; 1 session ended"), "{told:?}");
    succeeded(&told);
    for socket in &mut sockets {
        assert_eq!(socket.end().await, Ended::Closed(4503));
    }
    for front in &fronts {
        is_locked_out(&cleo.at(front)).await;
    }
    succeeded(&user(&["enable", "cleo"], ""));
    let generated = succeeded(&user(&["reset-password", "cleo", "--generate"], ""));
    let credentials = json!({"username": "cleo", "password": generated.trim(), "device_name": "test"});
    let signed_in = Client::new().post(format!("{}/v1/sessions", fronts[1])).json(&credentials).send().await.unwrap();
    assert_eq!(signed_in.status(), 201);
    succeeded(&user(&["make-admin", "cleo"], ""));

    // Without a broker it is done all the same, and told with the next try.
    succeeded(&user(&["reset-password", "cleo", "--password-stdin"], PASSWORD));
    let cleo = Person::sign_in(&fronts[0], "cleo").await;
    let away = |part| {
        let link = (Part::Api(1), part);
        platform.sever(link);
        let said = failed(&user(&["disable", "cleo"], ""), 4);
        platform.heal(link);
        said
    };
    let said = away(Part::Broker);
    assert!(said.contains("nobody heard of it (RabbitMQ: ") && said.contains("do it again"), "{said}");
    let known = cleo.call(Method::GET, "/v1/users/me", None).await.0;
    assert_eq!(known, 200, "an access token is taken until somebody hears of its end");
    succeeded(&user(&["disable", "cleo"], ""));
    for front in &fronts {
        is_locked_out(&cleo.at(front)).await;
    }
    // Whatever becomes of shards and Redis.
    assert!(away(Part::Directory).contains("cannot open the directory"));
    for part in [Part::Shard(0), Part::Cache] {
        platform.sever((Part::Api(1), part));
        succeeded(&user(&["enable", "cleo"], ""));
        platform.heal((Part::Api(1), part));
    }
    let mut both = Command::new(binary());
    both.args(["user", "enable", "cleo", "--settings", &settings, "--data", "."]);
    assert!(failed(&run(&mut both, ""), 2).contains("cannot be used with"));
}

// Two threads: the collector answers while a start is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_all_processes_queries_go_by_tls_and_an_owner_keeps_users() {
    let collector = Collector::start().await;
    let traces = TraceSettings { endpoint: Some(collector.url.clone()), sample_ratio: 0.0, ..TraceSettings::default() };
    let platform = Platform::start_traced(traces).await;
    one_message_is_one_trace(&platform, &collector).await;
    queries_go_by_tls_and_token(&platform).await;
    users_are_made_and_locked_out_beside_the_api(&platform).await;
    platform.all_well();
}
