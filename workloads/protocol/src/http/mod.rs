//! Shapes of the HTTP API, `/v1`. Absent fields are left out, never null.

mod problem;
mod rooms;
mod sessions;
mod sync;
mod users;

pub use problem::{FieldProblem, Problem};
pub use rooms::{
    ChangePreferences, ChangeRoom, CreateRoom, History, HistoryQuery, MemberOut, Members, PageQuery, PublicRoom,
    PublicRooms, PutMember, RoomAnswer, RoomOut, Rooms, SendAnswer, SendBody,
};
pub use sessions::{
    BotTokenCreated, CreateBotToken, ExchangeToken, RefreshSession, SessionOut, Sessions, SignIn, SignedIn,
};
pub use sync::{SyncAnswer, SyncRequest, SyncRoom, SyncRoomAnswer};
pub use users::{
    ChangePassword, ChangeProfile, Friend, FriendStatus, Friends, Me, Profile, SignUp, StatusLine, UserAnswer, Users,
    UsersQuery,
};
