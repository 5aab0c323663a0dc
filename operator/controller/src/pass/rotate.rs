//! Rotation, within a pass.

use klatch_desired::Desired;

use super::phases::Walk;
use crate::{
    act,
    failure::Failure,
    observe::World,
    plan::{
        outcome::Outcome,
        rotation::{self, Next, Rotation},
    },
};

impl Walk<'_> {
    /// The next write of a rotation, if there is one. `settled`: everything runs as its state wants it.
    pub(super) async fn rotate(
        &self,
        state: &Rotation,
        asked: Option<&str>,
        desired: &Desired,
        world: &World,
        settled: bool,
    ) -> Result<Option<Outcome>, Failure> {
        let (client, owner) = (&self.operator.client, self.owner);
        let shapes: Vec<_> = desired.secrets().filter(|shape| shape.logins).collect();
        let renewed: Vec<_> =
            shapes.iter().map(|shape| (shape.name.as_str(), rotation::renewed(world, &shape.name))).collect();
        match state.next(asked, &renewed, settled) {
            Next::Rest => Ok(None),
            Next::Note(_) if settled && act::any_pod_ends(client, owner).await? => {
                let message = "waiting until pods with the old passwords are gone".to_owned();
                Ok(Some(Outcome::Waiting { reason: "Rotating", message }))
            }
            Next::Note(new) => {
                let names = klatch_desired::Names::new(self.cluster);
                let Some(seen) = rotation::state_secret(world, &names) else { return Ok(None) };
                act::note_rotation(client, owner, seen, &new).await?;
                Ok(Some(Outcome::Progress { message: format!("rotation of passwords: {:?}", new.half) }))
            }
            Next::Renew { secrets, login, number } => {
                for shape in shapes.iter().filter(|shape| secrets.contains(&shape.name)) {
                    let Some(seen) = world.secret(&shape.name) else { continue };
                    act::renew_logins(client, owner, shape, seen, login, number).await?;
                }
                Ok(Some(Outcome::Progress { message: format!("made passwords of {} Secrets new", secrets.len()) }))
            }
        }
    }
}
