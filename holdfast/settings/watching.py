"""The settings of what watches over the backups: how good they must be, who is told when they are not, and what is watched."""

from __future__ import annotations

from pydantic import BaseModel, Field

from holdfast.settings.kinds import (
    Addresses,
    ChannelSecret,
    Failures,
    MailAddress,
    Names,
    OptionalPath,
    OptionalSizeBytes,
    Percent,
    TargetHours,
    TargetMinutes,
    WebAddress,
)


class ObjectiveSettings(BaseModel):
    """How much may be lost, and how long coming back may take."""

    rpo_target_hours: TargetHours = Field(
        None,
        validation_alias="BACKUP_RPO_TARGET_HOURS",
        description="Hours that the newest proven backup may be old; unset, only backups that are overdue are told",
    )
    rto_target_minutes: TargetMinutes = Field(
        None,
        validation_alias="BACKUP_RTO_TARGET_MINUTES",
        description="Minutes that bringing everything back may take, as drills have measured it; unset, none",
    )


class NotificationSettings(BaseModel):
    """Who is told when something fails."""

    enable_backup_notifications: bool = Field(
        True, validation_alias="BACKUP_ENABLE_NOTIFICATIONS", description="Tell when backups fail"
    )
    notification_channels: Names = Field(
        ["email", "slack"],
        validation_alias="BACKUP_NOTIFICATION_CHANNELS",
        description="Channels to tell it by: email, slack, teams, pagerduty, discord, webhook, or a notification block of yours",
    )
    failure_notification_threshold: Failures = Field(
        3, validation_alias="BACKUP_FAILURE_THRESHOLD", description="Failures in a row before it is told"
    )
    smtp_url: ChannelSecret = Field(
        None,
        validation_alias="BACKUP_SMTP_URL",
        description="Mail server of the channel email: smtp://user:password@host:587 (STARTTLS where offered), or smtps://…:465",
    )
    email_from: MailAddress = Field(
        None, validation_alias="BACKUP_EMAIL_FROM", description="Address that mail comes from; unset, the first it goes to"
    )
    email_to: Addresses = Field([], validation_alias="BACKUP_EMAIL_TO", description="Addresses that mail goes to")
    slack_webhook_url: ChannelSecret = Field(
        None, validation_alias="BACKUP_SLACK_WEBHOOK_URL", description="Incoming webhook of the channel slack"
    )
    teams_webhook_url: ChannelSecret = Field(
        None, validation_alias="BACKUP_TEAMS_WEBHOOK_URL", description="Workflow webhook of the channel teams"
    )
    discord_webhook_url: ChannelSecret = Field(
        None, validation_alias="BACKUP_DISCORD_WEBHOOK_URL", description="Webhook of the channel discord"
    )
    pagerduty_key: ChannelSecret = Field(
        None, validation_alias="BACKUP_PAGERDUTY_KEY", description="Integration key (Events API v2) of the channel pagerduty"
    )
    webhook_url: ChannelSecret = Field(
        None, validation_alias="BACKUP_WEBHOOK_URL", description="Address of the channel webhook, which gets JSON by POST"
    )


class MonitoringSettings(BaseModel):
    """What others can watch."""

    heartbeat_url: WebAddress = Field(
        None,
        validation_alias="BACKUP_HEARTBEAT_URL",
        description="Address that is told of each run (healthchecks.io style: …/start, …, …/fail); "
        "it may hold {type}, for one address each",
    )
    metrics_file: OptionalPath = Field(
        None,
        validation_alias="BACKUP_METRICS_FILE",
        description="File that each run writes Prometheus metrics into, as node_exporter's textfile collector reads it",
    )
    storage_full_percent: Percent = Field(
        90,
        validation_alias="BACKUP_STORAGE_FULL_PERCENT",
        description="Percent of the storage's space from which it counts as nearly full",
    )
    storage_capacity_bytes: OptionalSizeBytes = Field(
        None,
        validation_alias="BACKUP_STORAGE_CAPACITY_BYTES",
        description="Space that backups may take; unset, the disk's where the storage is local, and no limit elsewhere",
    )
