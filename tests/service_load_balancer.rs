//! Behind HAProxy and NGINX, with the configurations that ship: TLS ends there, WebSockets go through, limits count the client
//! and not the balancer, and a reload cuts and loses nothing.

use std::{net::IpAddr, time::Duration};

use klatch_client_sdk::{Client, Credentials, Options, Roots};
use klatch_domain::Seq;
use klatch_protocol::http::SignUp;
use klatch_tests::{
    balancer::{Balancer, Product, Server},
    encrypted_front::AUTHORITY,
    klatch_process::{Start, Up},
    person::{PASSWORD, Person, http_client, text_of},
    writers::{Desk, Order, Way, Writer, oracle::Oracle},
};

/// Calls without a token of one address, a minute.
const CALLS: u32 = 25;
const RELOADS: usize = 5;
/// Messages that are stored between two reloads.
const BETWEEN: u64 = 60;

/// A server that believes what loopback says about where calls come from, and the balancer before it.
async fn behind(product: Product, limits: &str) -> (Up, Balancer) {
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.yaml");
    let text = format!(
        "api:\n  trustedProxies: ['127.0.0.1/32']\n  limits:\n    {limits}\ngateway:\n  limits:\n    {limits}\n"
    );
    std::fs::write(&settings, text).unwrap();
    let process = Start::default().with(&["-f", settings.to_str().unwrap()]).ready();
    let address = process.address().parse().unwrap();
    let server = [Server { address, admin: address }];
    let balancer = Balancer::start(product, &server, &server).await;
    (process, balancer)
}

async fn sign_up(url: &str, name: &str) -> (Client, klatch_domain::UserId) {
    let roots = Roots::from_pem(AUTHORITY).unwrap();
    let user = SignUp { username: name.to_owned(), password: PASSWORD.to_owned(), display_name: None, email: None };
    let me = Client::sign_up_with(url, user, &roots).await.unwrap();
    let credentials = Credentials::Password {
        username: name.to_owned(),
        password: PASSWORD.to_owned(),
        device_name: "test".to_owned(),
    };
    let client = Client::connect(url, credentials, Options { roots, ..Options::default() }).await.unwrap();
    client.ready().await.unwrap();
    (client, me.profile.id)
}

async fn two_people_talk(product: Product) {
    let (_process, balancer) = behind(product, "enabled: true").await;
    let (ada, _) = sign_up(&balancer.url, "ada").await;
    let (bob, bob_id) = sign_up(&balancer.url, "bob").await;
    let room = ada.open_direct(bob_id).await.unwrap().id;
    let mut heard = loop {
        // Bob's client hears of the room by his inbox.
        match bob.follow(room, Some(Seq::ZERO)).await {
            Ok(follow) => break follow,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    };
    let stored = ada.say(room, "over the balancer").await.unwrap().await.unwrap();
    loop {
        let entry = heard.next().await.unwrap();
        if text_of(entry.content.as_str()) == "over the balancer" {
            assert_eq!(entry.position, stored.position);
            break;
        }
    }
    // What is for those inside is not for those outside.
    for path in ["/metrics", "/readyz", "/healthz"] {
        let status = http_client(None).get(format!("{}{path}", balancer.url)).send().await.unwrap().status();
        assert_eq!(status, 404, "{path}");
    }
}

async fn limits_count_the_client(product: Product) {
    let (_process, balancer) = behind(product, &format!("unauthenticatedPerMinute: {CALLS}")).await;
    let here = |last: u8| Some(IpAddr::from([127, 0, 0, last]));
    let noisy = http_client(here(2));
    let mut statuses = Vec::new();
    for number in 0..2 * CALLS {
        // It says it was somebody else each time; nobody believes it.
        let call = noisy.get(format!("{}/", balancer.url));
        let call = call.header("x-forwarded-for", format!("192.0.2.{number}"));
        statuses.push(call.send().await.unwrap().status().as_u16());
    }
    let refused = statuses.iter().filter(|status| **status == 429).count();
    assert!(statuses.contains(&200) && refused > 0, "{product:?}: {statuses:?}");
    let quiet = http_client(here(3)).get(format!("{}/", balancer.url)).send().await.unwrap();
    assert_eq!(quiet.status(), 200, "one noisy client is not everybody");
}

async fn a_reload_loses_nothing(product: Product) {
    let (process, balancer) = behind(product, "enabled: false").await;
    let mut people = Vec::new();
    for number in 0..4 {
        people.push(Person::sign_up(&balancer.url, &format!("writer{number}")).await);
    }
    let others: Vec<&Person> = people[1..].iter().collect();
    let group = people[0].group("reload", &others).await;
    let desk = Desk::new(vec![balancer.url.clone()], Duration::from_millis(5));
    let mut writers = Vec::new();
    for (number, person) in people.iter().enumerate() {
        let way = if number == 3 { Way::Http } else { Way::WebSocket { in_flight: 8 } };
        writers.push(Writer::start(person.clone(), vec![group], way, 0, &desk));
    }
    for _ in 0..RELOADS {
        let until = desk.stored() + BETWEEN;
        while desk.stored() < until {
            assert!(writers.iter().all(|writer| !writer.is_finished()), "a writer ended early");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        balancer.reload().await;
    }
    desk.tell(Order::End);
    for writer in &mut writers {
        writer.ended().await;
    }
    assert_eq!(desk.connections(), 3, "{product:?}: a reload cut a WebSocket");
    let mut readers: Vec<_> = people.iter().map(|person| person.at(&process.url)).collect();
    let mut oracle = Oracle::default();
    oracle.read(group, &mut readers).await;
    for writer in &writers {
        oracle.compare(writer);
    }
    oracle.nothing_alien();
}

macro_rules! behind_both {
    ($($name:ident: $check:ident;)*) => {
        mod haproxy {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $check(Product::Haproxy).await;
            })*
        }
        mod nginx {
            use super::*;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $check(Product::Nginx).await;
            })*
        }
    };
}

behind_both! {
    people_talk_by_https_and_wss: two_people_talk;
    one_noisy_address_does_not_silence_the_others: limits_count_the_client;
    a_reload_cuts_and_loses_nothing: a_reload_loses_nothing;
}
