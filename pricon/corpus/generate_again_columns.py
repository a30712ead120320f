"""Columns of AGAIN's published table, in its order and spelling, quirks included."""

from dataclasses import dataclass

from pricon.corpus.adapters.again_games import Genre

CONTROL = (
    "[control]genre",
    "[control]player_id",
    "[control]session_id",
    "[control]game",
    "[control]time_index",
    "[control]epoch",
    "[control]time_stamp",
    "[control]engine_tick",
)
AROUSAL = "[output]arousal"
TIME_PASSED = "[general]time_passed"


@dataclass(frozen=True, slots=True)
class Column:
    """A column after the control columns and arousal, and the genres that fill it."""

    name: str
    genres: frozenset[Genre]

    @property
    def is_text(self) -> bool:
        """Whether it holds words, which are never features."""
        return self.name.startswith("[string]")

    @property
    def is_event(self) -> bool:
        """Whether it holds 0 or 1."""
        return any(mark in self.name for mark in _EVENT_MARKS)


_EVENT_MARKS = (
    "_is_",
    "_has_",
    "_shooting",
    "_reloading",
    "_crouching",
    "_sprinting",
    "_aim_at_",
    "_death",
    "_respawn",
    "_standing",
    "_healing",
    "_pickup",
    "_charging",
    "_boost",
    "_tries_",
)
_GENRES: dict[str, Genre] = {"r": "racing", "s": "shooter", "p": "platformer"}
_LAYOUT = """
[general]time_passed rsp
[general]input_intensity rsp
[general]input_diversity rsp
[general]activity rsp
[general]score rsp
[general]bot_count rsp
[general]bot_diversity rsp
[general]bot_movement rsp
[general]player_movement rsp
[general]object_intensity rsp
[general]object_diversity rsp
[general]event_intensity rsp
[general]event_diversity rsp
[string]key_presses rsp
[string]player_aim_target s
[string]bot_damaged_by s
key_press_count rsp
idle_time rsp
player_score rsp
player_kill_count sp
player_speed_x sp
player_speed_y sp
player_speed_z s
player_delta_distance rsp
player_delta_rotation rs
player_health sp
player_healing s
player_damaged sp
player_shooting sp
player_reloading s
player_projectile_count sp
player_projectile_distance sp
reticle_delta_distance s
player_crouching s
player_sprinting s
player_aim_at_enemy s
player_aim_at_destructible s
player_health_pickup sp
visible_bot_count rsp
bot_speed_x sp
bot_speed_y sp
bot_speed_z s
bot_delta_distance rsp
bot_delta_rotation~ s
bot_health sp
bot_damaged sp
bot_shooting sp
bot_reloading s
bot_projectile_count sp
bot_projectile_player_distance sp
bot_aim_at_player s
pick_ups_visible sp
pick_up_player_disctance sp
destructible_count s
objects_destroyed s
player_death sp
player_tries_shoot_on_reload s
player_standing r
player_speed r
player_speed_boost r
player_is_grounded rp
player_is_mid_air r
player_is_looping r
player_is_crashing r
player_is_off_road r
player_gas_pedal r
player_steering r
player_lap r
player_distance_to_way_point r
player_respawn r
bot_standing r
bot_score r
bot_speed r
bot_speed_boost r
bot_is_grounded rp
bot_is_looping r
bot_is_off_road r
bot_is_crashing r
bot_gas_pedal r
bot_steering r
bot_lap r
bot_distance_to_way_point r
bot_delta_rotation r
bot_player_distance rp
bot_respawn r
visible_jump_count r
visible_speed_boost_count r
visible_obstacle_count r
visible_loop_count r
[string]player_damaged_by p
[string]bot_types p
[string]pick_up_types p
player_has_collisions p
player_is_colliding_above p
player_is_colliding_below p
player_is_colliding_left p
player_is_colliding_right p
player_is_falling p
player_is_jumping p
player_point_pickup p
player_power_pickup p
player_boost_pickup p
player_slow_pickup p
player_has_powerup p
bot_has_collisions p
bot_is_colliding_above p
bot_is_colliding_below p
bot_is_colliding_left p
bot_is_colliding_right p
bot_is_falling p
bot_is_jumping p
bot_charging p
"""
"""Name and initials of the genres; `~` stands for the blank that one name really ends with."""


def _parse(line: str) -> Column:
    name, initials = line.split(" ")
    return Column(name.replace("~", " "), frozenset(_GENRES[initial] for initial in initials))


COLUMNS = tuple(_parse(line) for line in _LAYOUT.split("\n") if line)
