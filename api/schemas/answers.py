"""What each route and each action of the guide answers when it is carried out: the status, and the document."""

from __future__ import annotations

from api.schemas import jobs, plans, standing
from api.schemas.document import Document, Json

Answer = tuple[int, type[Document]]

ANSWERS: dict[str, Answer] = {
    "healthz": (200, standing.Alive),
    "readyz": (200, standing.Alive),
    "showStatus": (200, standing.Status),
    "selfTest": (200, standing.SelfTest),
    "listJobs": (200, jobs.Jobs),
    "showJob": (200, jobs.Job),
    "listBackups": (200, jobs.Backups),
    "backUp": (202, jobs.StartedBackup),
    "showBackup": (200, jobs.Job),
    "listRestores": (200, jobs.Restores),
    "restore": (202, jobs.StartedRestore),
    "showRestore": (200, jobs.Job),
    "verify": (202, jobs.StartedJob),
    "drill": (202, jobs.StartedJob),
    "cleanUp": (202, jobs.StartedJob),
    "replicate": (202, jobs.StartedJob),
    "listPlans": (200, plans.Plans),
    "addPlan": (201, plans.ChangedPlan),
    "showPlan": (200, plans.Plan),
    "replacePlan": (200, plans.ChangedPlan),
    "removePlan": (200, plans.ChangedPlan),
    "enablePlan": (200, plans.ChangedPlan),
    "disablePlan": (200, plans.ChangedPlan),
    "carryPlanOut": (202, plans.StartedExecution),
    "listExecutions": (200, plans.Executions),
    "showExecution": (200, plans.Execution),
    "answerExecution": (200, plans.AnsweredExecution),
    "resumeExecution": (202, plans.StartedExecution),
    "rollBackExecution": (202, plans.StartedExecution),
    "initialize": (200, standing.Initialized),
    "showConfiguration": (200, standing.Configuration),
    "updateConfiguration": (200, standing.ChangedConfiguration),
    "emitEvent": (202, plans.EmittedEvent),
    "listAuditLines": (200, standing.AuditLines),
    "verifyAuditLog": (200, standing.AuditVerification),
}
"""By the name of the operation."""

OF_THE_GUIDE: dict[str, Answer] = {
    "status": ANSWERS["showStatus"],
    "test": ANSWERS["selfTest"],
    "init": ANSWERS["initialize"],
    **{f"backup-{what}": ANSWERS["backUp"] for what in ("database", "function", "config", "secrets", "all")},
    "restore": ANSWERS["restore"],
    "cleanup": ANSWERS["cleanUp"],
    "jobs": ANSWERS["listJobs"],
    "job": ANSWERS["showJob"],
    "update-config": ANSWERS["updateConfiguration"],
    "plans": ANSWERS["listPlans"],
    "add-plan": ANSWERS["addPlan"],
    "remove-plan": ANSWERS["removePlan"],
    "disaster-recovery": ANSWERS["carryPlanOut"],
}
"""By the name of the action."""

EXAMPLES: dict[str, Json] = {
    "showJob": jobs.JOB_EXAMPLE,
    "showBackup": jobs.JOB_EXAMPLE,
    "listJobs": {"jobs": [jobs.JOB_EXAMPLE], "nextCursor": None},
    "listBackups": {"backups": [jobs.JOB_EXAMPLE], "nextCursor": None},
    "backUp": jobs.STARTED_EXAMPLE,
}
