//! What a caller may see: the apiserver knows, and is asked.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use kube_client::{Api, Client, Error, api::PostParams};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{GROUP, VERSION, caller::Caller};

/// How long a yes counts: an autoscaler asks every 15 s, for ever.
const YES_FOR: Duration = Duration::from_secs(300);
/// How long a no counts: a right that was just granted is seen soon.
const NO_FOR: Duration = Duration::from_secs(10);
/// Answers that are remembered; there are few who ask for metrics.
const MOST: usize = 1_024;

/// What somebody wants to see.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wish {
    /// Who.
    pub caller: Caller,
    /// In which namespace.
    pub namespace: String,
    /// Of which pod; `*` of all.
    pub pod: String,
    /// Which metric.
    pub metric: String,
}

/// Asks whether somebody may.
#[async_trait]
pub trait Review: Send + Sync + 'static {
    /// Whether they may.
    ///
    /// # Errors
    /// Nobody knows.
    async fn may(&self, wish: &Wish) -> Result<bool, Error>;
}

#[async_trait]
impl Review for Client {
    async fn may(&self, wish: &Wish) -> Result<bool, Error> {
        let Wish { caller, namespace, pod, metric } = wish.clone();
        let review = SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(caller.user),
                uid: caller.uid,
                groups: Some(caller.groups),
                extra: Some(caller.extra),
                // As the apiserver itself reads the path: a metric is a subresource.
                resource_attributes: Some(ResourceAttributes {
                    verb: Some("get".to_owned()),
                    group: Some(GROUP.to_owned()),
                    version: Some(VERSION.to_owned()),
                    resource: Some("pods".to_owned()),
                    subresource: Some(metric),
                    namespace: Some(namespace),
                    name: Some(pod),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        };
        let answer = Api::<SubjectAccessReview>::all(self.clone()).create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| status.allowed && status.denied != Some(true)))
    }
}

/// Who may see what.
pub struct Rights<R = Client> {
    review: R,
    known: Mutex<HashMap<Wish, (bool, Instant)>>,
}

impl<R: Review> Rights<R> {
    /// As this says.
    pub fn new(review: R) -> Self {
        Self { review, known: Mutex::default() }
    }

    /// Whether they may. A failed question is not remembered.
    ///
    /// # Errors
    /// What the apiserver said.
    pub async fn may(&self, wish: Wish) -> Result<bool, Error> {
        if wish.caller.is_master() {
            return Ok(true);
        }
        let now = Instant::now();
        let known = self.known.lock().get(&wish).copied();
        if let Some((may, until)) = known
            && until > now
        {
            return Ok(may);
        }
        let may = self.review.may(&wish).await?;
        let mut known = self.known.lock();
        known.retain(|_, (_, until)| *until > now);
        if known.len() < MOST {
            known.insert(wish, (may, now + if may { YES_FOR } else { NO_FOR }));
        }
        Ok(may)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counting(bool, AtomicUsize);

    #[async_trait]
    impl Review for Counting {
        async fn may(&self, _wish: &Wish) -> Result<bool, Error> {
            self.1.fetch_add(1, Ordering::Relaxed);
            Ok(self.0)
        }
    }

    fn wish(groups: &[&str]) -> Wish {
        let groups = groups.iter().map(|one| (*one).to_owned()).collect();
        let caller = Caller { user: "ann".to_owned(), uid: None, groups, extra: [].into() };
        Wish { caller, namespace: "talk".to_owned(), pod: "*".to_owned(), metric: "connections".to_owned() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_yes_is_remembered_for_long_and_a_no_for_a_moment() {
        for (may, seconds) in [(true, 300), (false, 10)] {
            let rights = Rights::new(Counting(may, AtomicUsize::new(0)));
            let asked = || rights.review.1.load(Ordering::Relaxed);
            for _ in 0..3 {
                assert_eq!(rights.may(wish(&[])).await.unwrap(), may);
            }
            assert_eq!(asked(), 1);
            assert_eq!(rights.may(wish(&["staff"])).await.unwrap(), may);
            assert_eq!(asked(), 2, "somebody else");
            tokio::time::advance(Duration::from_secs(seconds)).await;
            rights.may(wish(&[])).await.unwrap();
            assert_eq!(asked(), 3, "{may} after {seconds} s");
        }
    }

    #[tokio::test]
    async fn masters_are_asked_for_nothing() {
        let rights = Rights::new(Counting(false, AtomicUsize::new(0)));
        assert!(rights.may(wish(&["system:masters"])).await.unwrap());
        assert_eq!(rights.review.1.load(Ordering::Relaxed), 0);
    }
}
