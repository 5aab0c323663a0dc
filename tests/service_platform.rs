//! What holds between the workloads as processes of their own, each on its own connections to real parts.

use klatch_bus::{
    Queries,
    http::{Options, PATH, Replicas, ServiceToken, queries},
};
use klatch_domain::Timestamp;
use klatch_settings::TraceSettings;
use klatch_tests::{
    person::Person,
    platform::Platform,
    services::certificates::Certificates,
    trace_collector::{Collector, SAMPLED, UNSAMPLED, named, say},
};
use reqwest::{Client, Url};

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

// Two threads: the collector answers while a start is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_through_all_processes_and_queries_go_by_tls() {
    let collector = Collector::start().await;
    let traces = TraceSettings { endpoint: Some(collector.url.clone()), sample_ratio: 0.0, ..TraceSettings::default() };
    let platform = Platform::start_traced(traces).await;
    one_message_is_one_trace(&platform, &collector).await;
    queries_go_by_tls_and_token(&platform).await;
    platform.all_well();
}
