export interface paths {
    "/livez": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether the process answers */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Health"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/readyz": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether work is taken on */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Health"];
                    };
                };
                /** @description Default Response */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Health"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether work is taken on */
        get: {
            parameters: {
                query?: never;
                header?: never;
                path?: never;
                cookie?: never;
            };
            requestBody?: never;
            responses: {
                /** @description Default Response */
                200: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Health"];
                    };
                };
                /** @description Default Response */
                503: {
                    headers: {
                        [name: string]: unknown;
                    };
                    content: {
                        "application/json": components["schemas"]["Health"];
                    };
                };
            };
        };
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/setup": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Make the first key with the setup token */
        post: operations["postSetup"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/keys": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List keys */
        get: operations["getKeys"];
        put?: never;
        /** Make a key; it is shown this once */
        post: operations["postKeys"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/keys/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Revoke a key, with its sessions and streams */
        delete: operations["deleteKeysId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/session": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Who asks, and with which rights */
        get: operations["getSession"];
        put?: never;
        /**
         * Sign in with a key
         * @description Opens a session in a cookie. Entering the key again makes the session fresh, under a new token.
         */
        post: operations["postSession"];
        /** Sign out */
        delete: operations["deleteSession"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List open sessions: those of the own key, or all for an admin */
        get: operations["getSessions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sessions/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** End a session */
        delete: operations["deleteSessionsId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List datasources */
        get: operations["getDatasources"];
        put?: never;
        /** Register a datasource */
        post: operations["postDatasources"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/databases": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List databases: the same as datasources */
        get: operations["getDatabases"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a datasource */
        get: operations["getDatasourcesId"];
        /**
         * Change a datasource
         * @description The whole datasource as it is to be. A password that is left out stays; with another host or port it must be given again.
         */
        put: operations["putDatasourcesId"];
        post?: never;
        /** Remove a datasource; the database itself is left alone */
        delete: operations["deleteDatasourcesId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Test a connection step by step
         * @description A connection that fails is an answer, not an error: see checks for the cause and the next step.
         */
        post: operations["postDatasourcesIdTest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/databases/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Test a datasource, or a connection that is not kept (admin) */
        post: operations["postDatabasesTest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/parse-url": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take a connection URL apart, without connecting */
        post: operations["postDatasourcesParseUrl"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}/confirm-server": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Take the server that a datasource leads to now for the right one
         * @description What to do about wrong_server, where the move to another server was meant.
         */
        post: operations["postDatasourcesIdConfirmServer"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}/schema": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List tables, columns and keys */
        get: operations["getDatasourcesIdSchema"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the first rows of a table */
        get: operations["getDatasourcesIdPreview"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/schedules/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Say a schedule in plain words, with its next five runs, were it to begin now; nothing is kept */
        post: operations["postSchedulesPreview"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/schedule": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show when a sync config runs next, and what became of the last times */
        get: operations["getSyncConfigsIdSchedule"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/schedule/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let a sync config no longer run by itself; its schedule is kept */
        post: operations["postSyncConfigsIdSchedulePause"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/schedule/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let it run by itself again; what came meanwhile is not made up for */
        post: operations["postSyncConfigsIdScheduleResume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/schedule/consent": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Let the runs of a schedule write to a protected environment, or no longer
         * @description It holds for the two databases that the sync config has now. Giving it needs the name of the target in confirm.
         */
        put: operations["putSyncConfigsIdScheduleConsent"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/export-schedules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the datasources that are exported by themselves, with their newest exports */
        get: operations["getExportSchedules"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}/export-schedule": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show when a datasource is exported by itself, and what became of the last times */
        get: operations["getDatasourcesIdExportSchedule"];
        /**
         * Export a datasource by itself from now on, or at other times or in another way than before
         * @description The body is that of an export, with the times. What it does not name is as it is by default, not as it was before.
         */
        put: operations["putDatasourcesIdExportSchedule"];
        post?: never;
        /** No longer export a datasource by itself; its dumps stay */
        delete: operations["deleteDatasourcesIdExportSchedule"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}/export-schedule/pause": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let a datasource no longer be exported by itself; its schedule is kept */
        post: operations["postDatasourcesIdExportSchedulePause"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}/export-schedule/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let it be exported by itself again; what came meanwhile is not made up for */
        post: operations["postDatasourcesIdExportScheduleResume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List sync configs */
        get: operations["getSyncConfigs"];
        put?: never;
        /** Create a sync config */
        post: operations["postSyncConfigs"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a sync config */
        get: operations["getSyncConfigsId"];
        /** Change a sync config; the old version is kept */
        put: operations["putSyncConfigsId"];
        post?: never;
        /** Remove a sync config; nothing in the databases changes */
        delete: operations["deleteSyncConfigsId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/versions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what a sync config has been, with the differences */
        get: operations["getSyncConfigsIdVersions"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/validate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Judge the columns of a sync config, and count the rows that do not fit, as a job */
        post: operations["postSyncConfigsIdValidate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/schema-drift": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show what of the tables had changed when they were last looked at */
        get: operations["getSyncConfigsIdSchemaDrift"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/schema-drift/look": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Look what of the tables has changed since the mapping was looked over; nothing is changed
         * @description Syncs and dry runs of all its tables look by themselves, before they begin.
         */
        post: operations["postSyncConfigsIdSchemaDriftLook"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/schema-drift/accept": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take the tables as they were last seen for what the mapping is about */
        post: operations["postSyncConfigsIdSchemaDriftAccept"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/webhook-secret": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say whether the webhook of a sync config has a secret, and since when */
        get: operations["getSyncConfigsIdWebhookSecret"];
        put?: never;
        /**
         * Make the secret that messages to the webhook are signed with; it is shown this once
         * @description The secret before signs as well for a while: each message has two signatures then.
         */
        post: operations["postSyncConfigsIdWebhookSecret"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/suggest": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Suggest field mappings for the tables of a sync config; nothing is changed */
        post: operations["postSyncConfigsIdSuggest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/suggest": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Suggest tables and field mappings between two datasources, before there is a sync config */
        post: operations["postSyncConfigsSuggest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/advise": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Advise a detection strategy for each table of a sync config; nothing is changed */
        post: operations["postSyncConfigsIdAdvise"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/datasources/{id}/advise": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Advise a detection strategy for each table of a datasource, before there is a sync config */
        post: operations["postDatasourcesIdAdvise"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** See what the mapping of a table makes of some rows; nothing is written */
        post: operations["postSyncConfigsIdPreview"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/preview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** See what a mapping that is still being written makes of some rows; nothing is kept */
        post: operations["postSyncConfigsPreview"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/validate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Judge the columns of a mapping that is still being written, and count the rows that do not fit */
        post: operations["postSyncConfigsValidate"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/match": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** See which rows of both sides a first run would take for the same; nothing is written */
        post: operations["postSyncConfigsIdMatch"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/{configId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Run a sync config */
        post: operations["postSyncConfigId"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/full": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run a full sync of a config, or between two connections (admin)
         * @description A connection URL becomes a datasource that no list shows, with its password sealed; it is kept neither in the job nor in a log.
         */
        post: operations["postSyncFull"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/incremental": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Run an incremental sync of a config, or between two connections (admin)
         * @description A connection URL becomes a datasource that no list shows, with its password sealed; it is kept neither in the job nor in a log.
         */
        post: operations["postSyncIncremental"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/validate/{jobId}/{table}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Judge the columns of a table of a job as they are now, and count the rows that do not fit */
        get: operations["getSyncValidateJobIdTable"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/{jobId}/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a job */
        get: operations["getSyncJobIdStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/status/{jobId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a job */
        get: operations["getSyncStatusJobId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/stop/{jobId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stop a job; everything that resuming needs is kept */
        post: operations["postSyncStopJobId"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/resume/{jobId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let a stopped or failed job go on from its checkpoint */
        post: operations["postSyncResumeJobId"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether syncs are taken on */
        get: operations["getSyncHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List jobs, the newest first unless sorted otherwise */
        get: operations["getJobs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a job */
        get: operations["getJobsId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/receipt": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show what a job did and proved */
        get: operations["getJobsIdReceipt"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/log": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Read what has happened to a job, in order */
        get: operations["getJobsIdLog"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/stop": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Stop a job; everything that resuming needs is kept */
        post: operations["postJobsIdStop"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/resume": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Let a stopped or failed job go on from its checkpoint */
        post: operations["postJobsIdResume"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/cancel": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** End a job for good, at the last batch that was committed */
        post: operations["postJobsIdCancel"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Do again, as a new job, what a job that is over was asked for, with its config as it is now or as it was */
        post: operations["postJobsIdRetry"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/changes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the changes of a job, in the order in which they are applied, and what they come to */
        get: operations["getJobsIdChanges"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/changes/download": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Take the changes of a job along: as JSON, as CSV, or as SQL that makes them */
        get: operations["getJobsIdChangesDownload"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/changes/decide": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Say of changes whether they are applied; where nothing is open any more, the job goes on */
        post: operations["postJobsIdChangesDecide"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/approve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Approve the changes of a job: exactly these are applied, by itself, or for a dry run by a new job
         * @description A job that waits goes on: one that is awaiting_approval, and one that is awaiting_resolution once nothing is open. For a dry run a job is started that applies its changes. Rows that moved meanwhile are left, and decided on anew.
         */
        post: operations["postJobsIdApprove"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/revert": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Undo what a job wrote: a new job computes the changes that do so, and waits for their approval */
        post: operations["postJobsIdRevert"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/rejections": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List rows that a job set aside first or last, in their order */
        get: operations["getJobsIdRejections"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/rejections": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List rows that the jobs of a sync config set aside, in their order */
        get: operations["getSyncConfigsIdRejections"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/rejections/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a row that was set aside */
        get: operations["getRejectionsId"];
        /** Give values for fields of the target, which a replay is to write */
        put: operations["putRejectionsId"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/rejections/{id}/dismiss": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Leave a row as it is; runs do so too until the row of the source changes */
        post: operations["postRejectionsIdDismiss"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/rejections/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Try rows again, as a job of their own: edited ones with their values, the others as the source has them */
        post: operations["postJobsIdRejectionsReplay"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/rejections/{id}/replay": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Try one row again, as a job of its own */
        post: operations["postRejectionsIdReplay"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/conflicts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List conflicts of all sync configs and jobs, in the order in which they were found */
        get: operations["getConflicts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/{configId}/conflicts": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List conflicts of a sync config */
        get: operations["getSyncConfigIdConflicts"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/conflicts/{jobId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List conflicts that a job saw first or last */
        get: operations["getSyncConflictsJobId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/conflicts/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a conflict with both rows, and where they differ */
        get: operations["getConflictsId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/{configId}/resolve/{conflictId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Decide a conflict: the row of one side, neither, or a row that you build */
        post: operations["postSyncConfigIdResolveConflictId"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/conflicts/{jobId}/{conflictId}/resolve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Decide a conflict: the row of one side, neither, or a row that you build */
        post: operations["postSyncConflictsJobIdConflictIdResolve"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/{configId}/resolve": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Decide conflicts of a sync config that a filter or a list names, at once or not at all */
        post: operations["postSyncConfigIdResolve"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/conflicts/{jobId}/resolve-all": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Decide all conflicts that a job saw, or those of them that a filter names, at once or not at all */
        post: operations["postSyncConflictsJobIdResolveAll"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/{configId}/carry-out": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Start a run that carries out what was decided about conflicts of a sync config */
        post: operations["postSyncConfigIdCarryOut"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/conflicts/{jobId}/carry-out": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Start a run that carries out what was decided about conflicts that a job saw */
        post: operations["postSyncConflictsJobIdCarryOut"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/conflicts/{id}/withdraw": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Take a decision back that no run has carried out: the conflict waits for somebody again */
        post: operations["postConflictsIdWithdraw"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/conflict-rules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the rules by which runs of a sync config decide conflicts */
        get: operations["getSyncConfigsIdConflictRules"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync-configs/{id}/conflict-rules/{ruleId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        post?: never;
        /** Remove such a rule; what it has decided stays decided */
        delete: operations["deleteSyncConfigsIdConflictRulesRuleId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List what a job wrote, in order */
        get: operations["getJobsIdHistory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Say why a row is as it is: every change of one key by any job, the newest first */
        get: operations["getHistory"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List and search who did what, the newest first unless sorted otherwise */
        get: operations["getAudit"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit-events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List and search who did what, the newest first unless sorted otherwise */
        get: operations["getAuditEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Count events by action, actor and day, and the rows that were written by table and operation */
        get: operations["getAuditStats"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/audit/verify": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Check that the audit log is what was written, event by event */
        get: operations["getAuditVerify"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/audit/{jobId}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show what happened to a job and what was decided, and page by page what it wrote */
        get: operations["getSyncAuditJobId"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/audit/{jobId}/report": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Write a report of a job: who, when, what, its proof, and every change */
        get: operations["getSyncAuditJobIdReport"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Export a database as SQL into the directory of dumps
         * @description Starts a job; its receipt names the dump.
         */
        post: operations["postSyncExport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Import a dump of the directory into a database, in one transaction
         * @description Starts a job. The whole file is checked first; what is there already is refused or replaced, and what is replaced is kept as a backup, which is imported in the same way.
         */
        post: operations["postSyncImport"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/sync/copy": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Copy a database into another one, with no file between, in one transaction
         * @description Starts a job. What is there already is refused or replaced, and what is replaced is kept as a backup first. Rows can be left out by filters, and columns masked on their way.
         */
        post: operations["postSyncCopy"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dumps/{id}/drill": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Try a dump: restore it into a database of its own, check that, and drop it
         * @description Starts a job, which fails where the dump does not work. What came of it is told with the dump from then on.
         */
        post: operations["postDumpsIdDrill"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dumps": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the dumps, the newest first unless sorted otherwise */
        get: operations["getDumps"];
        put?: never;
        /**
         * Bring a dump: the file is the body
         * @description Plain SQL, gzip, zstd, or a dump that was sealed. For keys that are not bound to certain datasources.
         */
        post: operations["postDumps"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dumps/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show a dump */
        get: operations["getDumpsId"];
        put?: never;
        post?: never;
        /** Delete a dump and its file; one that a job reads stays */
        delete: operations["deleteDumpsId"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/dumps/{id}/file": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Take the file of a dump along */
        get: operations["getDumpsIdFile"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/jobs/{id}/events": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Follow a job: its events from the first one, or from after Last-Event-ID, as they happen
         * @description Server-sent events, each with its number as id; and without one, progress: where the job is by now. The last one is end. A job that is over and wholly known is answered with 204.
         */
        get: operations["getJobsIdEvents"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/ws": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Follow several jobs over a WebSocket */
        get: operations["getWs"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/settings/redis": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the Redis that change sets may be kept in */
        get: operations["getSettingsRedis"];
        /**
         * Set up the Redis that change sets may be kept in
         * @description REDIS_URL in the environment comes before it: see source and overridden. Change sets that another Redis holds are computed again.
         */
        put: operations["putSettingsRedis"];
        post?: never;
        /** Forget the Redis that was set up; the Redis itself is left alone */
        delete: operations["deleteSettingsRedis"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/settings/redis/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Test a Redis step by step: the one that is set up, or another one
         * @description A connection that fails is an answer, not an error: see checks for the cause and the next step.
         */
        post: operations["postSettingsRedisTest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/settings/retention": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show for how long things are kept, and in how much room */
        get: operations["getSettingsRetention"];
        /**
         * Set for how long things are kept, and in how much room; what is older or more goes within the hour
         * @description What is left out has its default. Variables of the environment come before it. It needs a key that was entered a short while ago: what has gone does not come back.
         */
        put: operations["putSettingsRetention"];
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/settings/ai": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show the model that refines suggestions */
        get: operations["getSettingsAi"];
        /**
         * Set up the model that refines suggestions
         * @description AI_URL and AI_MODEL in the environment come before it: see source and overridden.
         */
        put: operations["putSettingsAi"];
        post?: never;
        /** Forget the model that was set up */
        delete: operations["deleteSettingsAi"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/settings/ai/test": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Ask a model one question about made-up columns: the one that is set up, or another one
         * @description A model that does not answer is an answer, not an error: see checks for the cause and the next step.
         */
        post: operations["postSettingsAiTest"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/demo": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Show whether there is demo data */
        get: operations["getDemo"];
        /**
         * See to it that there is demo data
         * @description Starts two private PostgreSQL servers on the machine of the service, for as long as its process lives: a small shop, and an empty database to sync it into. Registers both, and a sync config. Called again, it makes what is missing.
         */
        put: operations["putDemo"];
        post?: never;
        /** Remove the demo data: its sync config, its datasources and the databases */
        delete: operations["deleteDemo"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/demo/edits": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /** Edit the demo databases as people would in a week, so that there is something to sync */
        post: operations["postDemoEdits"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/transforms": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the transforms that a field mapping may name, with their arguments */
        get: operations["getTransforms"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/rules": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** List the kinds of data rules that a field mapping may have */
        get: operations["getRules"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/health": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** Whether work is taken on */
        get: operations["getHealth"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/health/db": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How the control store is */
        get: operations["getHealthDb"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/status": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** What the service is doing */
        get: operations["getStatus"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/api/v1/overview": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /** How things stand: sync config by sync config, and day by day */
        get: operations["getOverview"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
}
export type webhooks = Record<string, never>;
export interface components {
    schemas: {
        /** @description What went wrong (RFC 9457). */
        Problem: {
            type: string;
            title: string;
            status: number;
            detail: string;
            /** @description Stable; docs/errors.md has them all. */
            code: string;
            /** @description The next step. */
            hint: string;
            /** @enum {string} */
            retry: "never" | "later" | "after-fix";
            request_id: string;
            errors?: {
                /** @description The part of the request, and a JSON pointer into it. */
                place: string;
                message: string;
            }[];
            job_id?: string;
        };
        /** @description Anything that JSON can say. */
        JsonValue: string | number | boolean | null | components["schemas"]["JsonValue"][] | {
            [key: string]: components["schemas"]["JsonValue"];
        };
        /** @description A named transform: see docs/transforms.md. */
        TransformStep: string | {
            [key: string]: {
                [key: string]: components["schemas"]["JsonValue"];
            };
        };
        /** @description A data rule: see docs/rules.md. */
        RuleStep: string | {
            [key: string]: components["schemas"]["JsonValue"];
        };
        /** @description Where one column of the target comes from. */
        FieldMapping: {
            /** @description The column of the target. */
            target: string;
            /** @description The column of the source that it comes from. */
            column?: string;
            /** @description Several columns, of which the first transform makes one value. */
            columns?: string[];
            /** @description The same value in every row. A number with decimals is written as a text. */
            constant?: string | number | boolean | null;
            /** @description A CEL expression over the columns of the source: see docs/expressions.md. */
            expression?: string;
            /** @description The body of a JavaScript function of `row`, run in a sandbox; it returns the value. */
            code?: string;
            /** @description What happens to the value, the first step first. */
            transforms?: components["schemas"]["TransformStep"][];
            /** @description What the value that arrives must satisfy. */
            rules?: components["schemas"]["RuleStep"][];
        };
        /** @description Times by a cron text, in a time zone. */
        CronSchedule: {
            /**
             * @description Minute, hour, day of the month, month and day of the week: *, values, names such as MON, ranges, lists and steps; L is the last day of the month. Where both kinds of days are given, either will do.
             * @example 30 2 * * *
             * @example *\/15 8-18 * * MON-FRI
             */
            cron: string;
            /**
             * @description A time zone of the IANA list. A time that its clocks skip runs at the moment of the change, one that comes twice runs once. Default UTC.
             * @example Europe/Berlin
             */
            time_zone?: string;
        };
        /** @description One table of the source, or a pattern of tables, and where it goes. */
        TableMapping: {
            /**
             * @description As the name of a table; * stands for any characters. With a query, the name that the query goes by.
             * @example shop.*
             * @example log_*
             */
            source: string;
            /** @description A SELECT of the source that stands for the table; it needs a key. */
            query?: string;
            /**
             * @description Where the table has another name in the target.
             * @example orders
             * @example shop.orders
             */
            target?: string;
            /** @description Columns of the source that identify a row; else the primary key, else a unique index. */
            key?: string[];
            /** @description Only these columns of the source. */
            columns?: string[];
            /** @description Not these columns of the source. */
            exclude?: string[];
            /** @description Source column → target column, where the names differ. */
            rename?: {
                [key: string]: string;
            };
            /**
             * @description A CEL condition on the columns of the source: rows that do not meet it do not exist for the sync.
             * @example country == 'NO' && total > 100
             */
            filter?: string;
            /**
             * @description What becomes of the row of the target when its source row leaves the filter. Default ignore.
             * @enum {string}
             */
            filter_exit?: "ignore" | "delete";
            /**
             * @description For this table alone.
             * @enum {string}
             */
            detection_strategy?: "hash" | "full" | "content" | "primary_key" | "timestamp" | "rowversion";
            /** @description For this table alone. */
            cursor_column?: string;
            /**
             * @description For this table alone.
             * @enum {string}
             */
            conflict_strategy?: "source_wins" | "target_wins" | "newer_wins" | "merge" | "manual" | "webhook";
            /** @description For this table alone. */
            newer_by?: string;
            /** @description Column of the target → who has the last word on it in a merge. Default manual. */
            conflict_fields?: {
                [key: string]: "manual" | "source_wins" | "target_wins" | "newer_wins" | "non_null" | "max" | "min" | "sum" | "union" | "source_owns" | "target_owns";
            };
            /**
             * @description What becomes of dates and times of MySQL and MariaDB whose year, month or day is zero: their row is set aside (reject), they are carried as they are, where the target is MySQL or MariaDB (keep), or NULL ("null") or a day, such as 1970-01-01, stands in their place. Default reject.
             * @example null
             * @example 1970-01-01
             */
            zero_dates?: string;
            /** @description Every column of the target that is written, each by itself, in place of columns and rename. */
            field_mappings?: components["schemas"]["FieldMapping"][];
        };
        SyncPolicies: {
            /** @description Default: every table that both sides have. */
            tables?: components["schemas"]["TableMapping"][];
            /** @description Tables that a pattern would pick, and that stay out. */
            exclude_tables?: string[];
            /**
             * @description Whether changes of the source reach the target, or those of either side the other. Default one_way.
             * @enum {string}
             */
            direction?: "one_way" | "two_way";
            /**
             * @description How changes are found: by digests of row ranges (hash), row by row (full), value by value (content), by keys alone (primary_key: no updates), or by a column that says what was written since (timestamp, rowversion: deletes by a pass of their own). Default hash.
             * @enum {string}
             */
            detection_strategy?: "hash" | "full" | "content" | "primary_key" | "timestamp" | "rowversion";
            /** @description The column of the source, set by every insert and update, that timestamp and rowversion go by. */
            cursor_column?: string;
            /** @description How long a transaction of the source is taken to last where the login does not see the sessions of others: so much is read again. Default 300. */
            cursor_window_seconds?: number;
            /** @description With timestamp and rowversion: how often keys are compared to find deleted rows, where they are to be deleted; 0 is each run. Default 24. */
            delete_check_hours?: number;
            /**
             * @description What becomes of a row that both sides changed since they were last in step. With any but source_wins, what the target alone changed stays there. Default source_wins.
             * @enum {string}
             */
            conflict_strategy?: "source_wins" | "target_wins" | "newer_wins" | "merge" | "manual" | "webhook";
            /** @description The column of the target, a time or a version, by which newer_wins tells which row is newer. */
            newer_by?: string;
            /**
             * @description Whose row is taken by newer_wins where both are as new. Default source.
             * @enum {string}
             */
            tie_break?: "source" | "target";
            /**
             * @description For conflict_strategy webhook: where both rows are posted to, signed. Whoever may see the sync config sees it.
             * @example https://rules.example.com/conflicts
             */
            webhook_url?: string;
            /** @description Hours in which the webhook is asked again and may answer; then somebody has to decide. Default 24. */
            webhook_timeout_hours?: number;
            /**
             * @description What becomes of rows that the source no longer has. Default ignore.
             * @enum {string}
             */
            delete_policy?: "ignore" | "delete";
            /**
             * @description Which rows may be deleted: those that this sync wrote, or all. Default owned.
             * @enum {string}
             */
            delete_scope?: "owned" | "mirror";
            /** @description The brake: percent of a table that a run may delete without being asked. Default 10. */
            max_delete_percent?: number;
            /** @description Percent of a table that a run may overwrite without being asked; 10 on first contact where not set. */
            max_overwrite_percent?: number;
            /**
             * @description What the target remembers of each row: what the policies need (auto), fingerprints, the values that both sides had last as well (images: they are shown with a conflict, and a sum needs them), or nothing where no policy needs it (none). Default auto.
             * @enum {string}
             */
            baseline?: "auto" | "fingerprints" | "images" | "none";
            /**
             * @description When changes reach the target: batch by batch as they go (streaming), all in one transaction once nothing is left to decide (staged), or that once somebody has approved them (approval). Default streaming.
             * @enum {string}
             */
            commit_mode?: "streaming" | "staged" | "approval";
            /**
             * @description Where changes are kept that are not committed as they go: by ourselves, or in the Redis of the settings. Default embedded.
             * @enum {string}
             */
            staging?: "embedded" | "redis";
            /** @description Hours that changes wait for an approval or a decision; then the job fails, and nothing of them is written. Default 72. */
            approval_hours?: number;
            /**
             * @description What is kept of a run: nothing, what it came to, each change by operation and key (standard), or each row before and after as well (detailed), which undoing needs. Default standard.
             * @enum {string}
             */
            audit_level?: "none" | "summary" | "standard" | "detailed";
            /**
             * @description What becomes of what the target lacks: the run stops with the difference (strict), columns are added that the source has (add_columns), and missing tables are made as well (create). Fields that are mapped one by one add nothing. Default add_columns.
             * @enum {string}
             */
            schema_policy?: "strict" | "add_columns" | "create";
            /**
             * @description What a row does that the target refuses: it is set aside, or stops the run. Default quarantine.
             * @enum {string}
             */
            on_reject?: "quarantine" | "stop";
            /** @description Rows that may be set aside before the run stops. Default 1000. */
            max_rejections?: number;
            /**
             * @description What becomes of dates and times of MySQL and MariaDB whose year, month or day is zero: their row is set aside (reject), they are carried as they are, where the target is MySQL or MariaDB (keep), or NULL ("null") or a day, such as 1970-01-01, stands in their place. Default reject.
             * @example null
             * @example 1970-01-01
             */
            zero_dates?: string;
            /** @description Rows in a write batch. Default 1000. */
            batch_size?: number;
            /** @description Tables under way at once. Default 1. */
            max_parallel_tables?: number;
            /** @description Pieces of one table under way at once. Default 5. */
            max_parallel_operations?: number;
            /**
             * @description How the result is proved. Default auto.
             * @enum {string}
             */
            verify_after?: "auto" | "full" | "changed" | "off";
        };
        /** @description What flows from one source to one target, under which policies. */
        SyncConfigDocument: {
            /**
             * @description A name, unique among its kind.
             * @example shop to analytics
             */
            name: string;
            /** @description The id or the name of a datasource. */
            source_datasource_id: string;
            /** @description The id or the name of a datasource. */
            target_datasource_id: string;
            /** @description Seconds from one run to the next, counted from when this was set. Not beside schedule. Default: none. */
            sync_interval?: number;
            /** @description Times at which it runs. Not beside sync_interval. Default: none. */
            schedule?: components["schemas"]["CronSchedule"];
            /**
             * @description What becomes of a run whose time comes while a job of the sync config is still open: it is left out, and that is told (skip). Default skip.
             * @enum {string}
             */
            overlap_policy?: "skip";
            /** @description Default: every table that both sides have. */
            tables?: components["schemas"]["TableMapping"][];
            /** @description Tables that a pattern would pick, and that stay out. */
            exclude_tables?: string[];
            /**
             * @description Whether changes of the source reach the target, or those of either side the other. Default one_way.
             * @enum {string}
             */
            direction?: "one_way" | "two_way";
            /**
             * @description How changes are found: by digests of row ranges (hash), row by row (full), value by value (content), by keys alone (primary_key: no updates), or by a column that says what was written since (timestamp, rowversion: deletes by a pass of their own). Default hash.
             * @enum {string}
             */
            detection_strategy?: "hash" | "full" | "content" | "primary_key" | "timestamp" | "rowversion";
            /** @description The column of the source, set by every insert and update, that timestamp and rowversion go by. */
            cursor_column?: string;
            /** @description How long a transaction of the source is taken to last where the login does not see the sessions of others: so much is read again. Default 300. */
            cursor_window_seconds?: number;
            /** @description With timestamp and rowversion: how often keys are compared to find deleted rows, where they are to be deleted; 0 is each run. Default 24. */
            delete_check_hours?: number;
            /**
             * @description What becomes of a row that both sides changed since they were last in step. With any but source_wins, what the target alone changed stays there. Default source_wins.
             * @enum {string}
             */
            conflict_strategy?: "source_wins" | "target_wins" | "newer_wins" | "merge" | "manual" | "webhook";
            /** @description The column of the target, a time or a version, by which newer_wins tells which row is newer. */
            newer_by?: string;
            /**
             * @description Whose row is taken by newer_wins where both are as new. Default source.
             * @enum {string}
             */
            tie_break?: "source" | "target";
            /**
             * @description For conflict_strategy webhook: where both rows are posted to, signed. Whoever may see the sync config sees it.
             * @example https://rules.example.com/conflicts
             */
            webhook_url?: string;
            /** @description Hours in which the webhook is asked again and may answer; then somebody has to decide. Default 24. */
            webhook_timeout_hours?: number;
            /**
             * @description What becomes of rows that the source no longer has. Default ignore.
             * @enum {string}
             */
            delete_policy?: "ignore" | "delete";
            /**
             * @description Which rows may be deleted: those that this sync wrote, or all. Default owned.
             * @enum {string}
             */
            delete_scope?: "owned" | "mirror";
            /** @description The brake: percent of a table that a run may delete without being asked. Default 10. */
            max_delete_percent?: number;
            /** @description Percent of a table that a run may overwrite without being asked; 10 on first contact where not set. */
            max_overwrite_percent?: number;
            /**
             * @description What the target remembers of each row: what the policies need (auto), fingerprints, the values that both sides had last as well (images: they are shown with a conflict, and a sum needs them), or nothing where no policy needs it (none). Default auto.
             * @enum {string}
             */
            baseline?: "auto" | "fingerprints" | "images" | "none";
            /**
             * @description When changes reach the target: batch by batch as they go (streaming), all in one transaction once nothing is left to decide (staged), or that once somebody has approved them (approval). Default streaming.
             * @enum {string}
             */
            commit_mode?: "streaming" | "staged" | "approval";
            /**
             * @description Where changes are kept that are not committed as they go: by ourselves, or in the Redis of the settings. Default embedded.
             * @enum {string}
             */
            staging?: "embedded" | "redis";
            /** @description Hours that changes wait for an approval or a decision; then the job fails, and nothing of them is written. Default 72. */
            approval_hours?: number;
            /**
             * @description What is kept of a run: nothing, what it came to, each change by operation and key (standard), or each row before and after as well (detailed), which undoing needs. Default standard.
             * @enum {string}
             */
            audit_level?: "none" | "summary" | "standard" | "detailed";
            /**
             * @description What becomes of what the target lacks: the run stops with the difference (strict), columns are added that the source has (add_columns), and missing tables are made as well (create). Fields that are mapped one by one add nothing. Default add_columns.
             * @enum {string}
             */
            schema_policy?: "strict" | "add_columns" | "create";
            /**
             * @description What a row does that the target refuses: it is set aside, or stops the run. Default quarantine.
             * @enum {string}
             */
            on_reject?: "quarantine" | "stop";
            /** @description Rows that may be set aside before the run stops. Default 1000. */
            max_rejections?: number;
            /**
             * @description What becomes of dates and times of MySQL and MariaDB whose year, month or day is zero: their row is set aside (reject), they are carried as they are, where the target is MySQL or MariaDB (keep), or NULL ("null") or a day, such as 1970-01-01, stands in their place. Default reject.
             * @example null
             * @example 1970-01-01
             */
            zero_dates?: string;
            /** @description Rows in a write batch. Default 1000. */
            batch_size?: number;
            /** @description Tables under way at once. Default 1. */
            max_parallel_tables?: number;
            /** @description Pieces of one table under way at once. Default 5. */
            max_parallel_operations?: number;
            /**
             * @description How the result is proved. Default auto.
             * @enum {string}
             */
            verify_after?: "auto" | "full" | "changed" | "off";
        };
        ApiKey: {
            id: string;
            name: string;
            /** @description How the key begins, to find it again. */
            prefix: string;
            /** @enum {string} */
            role: "viewer" | "operator" | "admin";
            /** @description Ids that it may see and use; null: all. */
            datasources: string[] | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            expires_at: string | null;
            last_used_at: string | null;
            revoked_at: string | null;
        };
        ApiKeyPage: {
            items: components["schemas"]["ApiKey"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        NewApiKey: {
            id: string;
            name: string;
            /** @description How the key begins, to find it again. */
            prefix: string;
            /** @enum {string} */
            role: "viewer" | "operator" | "admin";
            /** @description Ids that it may see and use; null: all. */
            datasources: string[] | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            expires_at: string | null;
            last_used_at: string | null;
            revoked_at: string | null;
            /** @description The key itself, shown this once. */
            key: string;
        };
        ApiKeyRequest: {
            /**
             * @description A name, unique among its kind.
             * @example shop to analytics
             */
            name: string;
            /** @enum {string} */
            role: "viewer" | "operator" | "admin";
            datasources?: string[] | null;
            /** @description Default: never. */
            expires_at?: string | null;
        };
        SetupRequest: {
            /** @description The setup token that serve prints at its first start. */
            token: string;
            /**
             * @description A name for the key. Default: admin.
             * @example shop to analytics
             */
            name?: string;
        };
        SignInRequest: {
            /** @description A key. */
            key?: string;
            /** @description In place of a key: the code of a link that the service made, once. */
            code?: string;
        };
        Session: {
            id: string;
            key_id: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            seen_at: string;
            /**
             * Format: date-time
             * @description When the key was entered.
             */
            confirmed_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            expires_at: string;
            address: string | null;
            current: boolean;
        };
        SessionPage: {
            items: components["schemas"]["Session"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        /** @description Who asks, and with which rights. */
        WhoAmI: {
            key: components["schemas"]["ApiKey"];
            session: components["schemas"]["Session"] | null;
        };
        DatasourceRequest: {
            /**
             * @description A name, unique among its kind.
             * @example shop to analytics
             */
            name: string;
            /**
             * @description Default: what the address says.
             * @enum {string}
             */
            kind?: "postgres" | "supabase" | "neon" | "mysql";
            /**
             * @description postgres://user:password@host:5432/database or mysql://user:password@host:3306/database. It is taken apart; the password is kept sealed.
             * @example postgres://app:secret@db.example.com:5432/shop?sslmode=verify-full
             */
            url?: string;
            /** @description A host name or an address. */
            host?: string;
            /** @description Default 5432; 3306 of the kind mysql. */
            port?: number;
            /** @description The name of the database on its server. */
            database?: string;
            /** @description The role to log in as. */
            user?: string;
            /** @description Kept sealed and never shown. null removes it; left out in a change, the old one stays. */
            password?: string | null;
            /** @description env:NAME, file:PATH or vault:PATH#FIELD, looked up at each connection. */
            password_reference?: string;
            /**
             * @description https://PROJECT.supabase.co: the project is read over its REST API, in place of url, host and user.
             * @example https://abcdefghijklmnop.supabase.co
             */
            project_url?: string;
            /** @description The secret key or service_role key that goes with project_url. Kept sealed and never shown. */
            service_role_key?: string | null;
            /** @description env:NAME, file:PATH or vault:PATH#FIELD, looked up at each connection. */
            service_role_key_reference?: string;
            /** @description Default: verify-full, and prefer on this machine. */
            ssl?: ("disable" | "prefer" | "require" | "verify-ca" | "verify-full") | null;
            /** @description PEM certificates, pasted. */
            ca?: string | null;
            /** @description Default 10000. */
            connect_timeout_ms?: number;
            /** @description Schemas that are offered; null: all that are the user’s own. */
            schemas?: string[] | null;
            /** @description Connections of all jobs together. Default 12. */
            pool_size?: number;
            /** @description Default: local on this machine, production elsewhere. */
            environment?: ("production" | "staging" | "development" | "training" | "local" | "prod" | "stage" | "dev") | null;
            /** @description Whether syncs may write to it. Default false. */
            writable?: boolean;
        };
        Check: {
            step: string;
            /** @enum {string} */
            state: "pass" | "warn" | "fail";
            found: string;
            /** @description The next step, where there is one. */
            next: string | null;
            ms: number;
        };
        /** @description A connection, step by step. */
        ConnectionTest: {
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            at: string;
            ok: boolean;
            checks: components["schemas"]["Check"][];
        };
        Datasource: {
            id: string;
            name: string;
            kind: string;
            host: string;
            port: number;
            database: string;
            user: string;
            ssl: string | null;
            /** @description PEM certificates; they are no secret. */
            ca: string | null;
            /** @description Where it is reached over its REST API, or null. */
            project_url: string | null;
            /** @description Or a key, with project_url. */
            has_password: boolean;
            password_reference: string | null;
            service_role_key_reference: string | null;
            schemas: string[] | null;
            pool_size: number;
            connect_timeout_ms: number;
            /** @description As somebody said. */
            environment: ("production" | "staging" | "development" | "training" | "local") | null;
            /**
             * @description As it counts.
             * @enum {string}
             */
            effective_environment: "production" | "staging" | "development" | "training" | "local";
            /** @description A write needs allow_protected_write and the typed name. */
            protected: boolean;
            writable: boolean;
            /** @enum {string} */
            origin: "stored" | "environment" | "ad_hoc";
            last_test: components["schemas"]["ConnectionTest"] | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            updated_at: string;
            version: number;
        };
        DatasourcePage: {
            items: components["schemas"]["Datasource"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        ConfirmServerRequest: {
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        ParseUrlRequest: {
            /**
             * @description postgres://user:password@host:5432/database or mysql://user:password@host:3306/database. It is taken apart; the password is kept sealed.
             * @example postgres://app:secret@db.example.com:5432/shop?sslmode=verify-full
             */
            url: string;
        };
        /** @description The parts of a URL; its password is not given back. */
        ParsedUrl: {
            kind: string;
            host: string;
            port: number;
            database: string;
            user: string;
            ssl: string | null;
            has_password: boolean;
            connect_timeout_ms: number;
            notes: components["schemas"]["Check"][];
        };
        DatabaseTestRequest: {
            /**
             * @description Default: what the address says.
             * @enum {string}
             */
            kind?: "postgres" | "supabase" | "neon" | "mysql";
            /**
             * @description postgres://user:password@host:5432/database or mysql://user:password@host:3306/database. It is taken apart; the password is kept sealed.
             * @example postgres://app:secret@db.example.com:5432/shop?sslmode=verify-full
             */
            url?: string;
            /** @description A host name or an address. */
            host?: string;
            /** @description Default 5432; 3306 of the kind mysql. */
            port?: number;
            /** @description The name of the database on its server. */
            database?: string;
            /** @description The role to log in as. */
            user?: string;
            /** @description Kept sealed and never shown. null removes it; left out in a change, the old one stays. */
            password?: string | null;
            /** @description env:NAME, file:PATH or vault:PATH#FIELD, looked up at each connection. */
            password_reference?: string;
            /**
             * @description https://PROJECT.supabase.co: the project is read over its REST API, in place of url, host and user.
             * @example https://abcdefghijklmnop.supabase.co
             */
            project_url?: string;
            /** @description The secret key or service_role key that goes with project_url. Kept sealed and never shown. */
            service_role_key?: string | null;
            /** @description env:NAME, file:PATH or vault:PATH#FIELD, looked up at each connection. */
            service_role_key_reference?: string;
            /** @description Default: verify-full, and prefer on this machine. */
            ssl?: ("disable" | "prefer" | "require" | "verify-ca" | "verify-full") | null;
            /** @description PEM certificates, pasted. */
            ca?: string | null;
            /** @description Default 10000. */
            connect_timeout_ms?: number;
            /** @description The id or name of a datasource, in place of a connection. */
            datasource_id?: string;
        };
        TableName: {
            schema: string;
            name: string;
        };
        TableDescription: {
            table: components["schemas"]["TableName"];
            kind: string;
            columns: {
                name: string;
                type: string;
                nullable: boolean;
                default: string | null;
                generated: boolean;
            }[];
            primary_key: string[];
            unique_keys: string[][];
            foreign_keys: {
                columns: string[];
                references: components["schemas"]["TableName"];
                referenced_columns: string[];
            }[];
            /** @description By the server’s statistics. */
            estimated_rows: number | null;
            /** @description Row-level security would hide rows from this login. */
            hides_rows: boolean;
        };
        SchemaAnswer: {
            items: components["schemas"]["TableDescription"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            at: string;
            /** @description Tables on all pages together. */
            total: number;
        };
        RowsPreview: {
            columns: {
                name: string;
                type: string;
            }[];
            /** @description Each value as the server writes it. */
            rows: (string | null)[][];
            /** @description Some values are longer than what is shown. */
            cut: boolean;
            /** @description Those values, with their real length. */
            cuts: {
                row: number;
                column: string;
                characters: number;
            }[];
        };
        RowFilter: {
            /** @description Tables as schema.table, with * for any characters; a table stands for its partitions and children. */
            table: string;
            /** @description A CEL condition on the columns of a row, as a filter of a sync config. */
            where: string;
        };
        ColumnMask: {
            /** @description As of a filter. It must name a table that is copied. */
            table: string;
            /** @description A column as the catalogue stores its name. */
            column: string;
            /** @description What happens to each value, the first step first: see docs/transforms.md. */
            transforms: components["schemas"]["TransformStep"][];
        };
        ExportAsked: {
            /** @enum {string} */
            content: "all" | "schema" | "data";
            schemas: string[] | null;
            exclude_schemas: string[];
            tables: string[] | null;
            exclude_tables: string[];
            owners: boolean;
            grants: boolean;
            same_provider: boolean;
            parallel: number;
            /** @enum {string} */
            style: "copy" | "insert";
            /** @enum {string} */
            compression: "none" | "gzip" | "zstd";
            /** @description Where the passphrase of a sealed file is found. */
            passphrase_reference: string | null;
        };
        ImportAsked: {
            dump: string;
            trust_file: boolean;
            owners: boolean;
            grants: boolean;
            /** @description Where the passphrase of a sealed file is found. */
            passphrase_reference: string | null;
            replace: boolean;
            backup: boolean;
            swap: boolean;
        };
        CopyAsked: {
            /** @enum {string} */
            content: "all" | "schema" | "data";
            schemas: string[] | null;
            exclude_schemas: string[];
            tables: string[] | null;
            exclude_tables: string[];
            owners: boolean;
            grants: boolean;
            same_provider: boolean;
            parallel: number;
            filters: components["schemas"]["RowFilter"][];
            masks: components["schemas"]["ColumnMask"][];
            replace: boolean;
            backup: boolean;
            trust_source: boolean;
        };
        DrillAsked: {
            dump: string;
            trust_file: boolean;
            owners: boolean;
            grants: boolean;
            /** @description Where the passphrase of a sealed file is found. */
            passphrase_reference: string | null;
        };
        /** @description What flows from one source to one target, under which policies. */
        CheckedSyncConfig: components["schemas"]["SyncConfigDocument"];
        CheckedSyncPolicies: components["schemas"]["SyncPolicies"];
        RunRequest: {
            /**
             * @description Default incremental.
             * @enum {string}
             */
            mode?: "incremental" | "full";
            /**
             * @description verify compares, validate judges the columns and counts what does not fit; neither writes. Default sync.
             * @enum {string}
             */
            kind?: "sync" | "verify" | "validate";
            /** @description Find what would be done, and write nothing. */
            dry_run?: boolean;
            /** @description Only these tables of the config, by their names in the source. */
            tables?: string[] | null;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        ValidateRequest: {
            /** @description Only these tables of the config, by their names in the source. */
            tables?: string[] | null;
        };
        TableValidation: {
            source: string;
            target: string;
            /** @description A run would carry the table, apart from the rows that do not fit. */
            ready: boolean;
            problems: {
                code: string;
                message: string;
            }[];
            fields: {
                columns: string[];
                source_type: string;
                target: string;
                target_type: string;
                /** @enum {string} */
                verdict: "lossless" | "checked" | "impossible";
                reason: string | null;
                next_step: string | null;
                /** @description Whether what the target changes comes back, where the table is synced two ways. */
                way: ("one_way" | "two_way") | null;
                /** @description Why it does not come back. */
                one_way: string | null;
                misfits: {
                    rows: number;
                    /** @description Of some of these rows; none for a viewer, who does not see rows. */
                    keys: (string | null)[][];
                } | null;
            }[];
            unmapped: {
                source: string[];
                target: {
                    column: string;
                    filled_by: string;
                }[];
            };
            counted: {
                rows: number;
                /** @description The time was over before the table was. */
                partial: boolean;
            } | null;
        };
        RunAnyRequest: {
            /** @description A saved sync config, by id or name. */
            config_id?: string;
            /** @description In place of config_id: a connection URL, or the id or name of a datasource. */
            source_connection?: string;
            /** @description As source_connection. */
            target_connection?: string;
            /** @description Tables and policies of a run between two connections. */
            config?: components["schemas"]["CheckedSyncPolicies"];
            /** @description Find what would be done, and write nothing. */
            dry_run?: boolean;
            /** @description Only these tables of the config, by their names in the source. */
            tables?: string[] | null;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        ConsentRequest: {
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        RetryRequest: {
            /**
             * @description current: the sync config as it is now. original: as it was when the job was asked for, between the databases of that time. Default current.
             * @enum {string}
             */
            config?: "current" | "original";
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        /** @description Nothing. */
        NoFields: Record<string, never>;
        /** @description read is the sum of all the others. Of a job that has not succeeded: the rows that it is known to have written until now. */
        Counts: {
            read: number;
            inserted: number;
            updated: number;
            deleted: number;
            unchanged: number;
            skipped: number;
            conflicted: number;
            rejected: number;
        };
        Progress: {
            phase: string;
            rows: number;
            bytes: number;
            percent: number | null;
            /** @description Percent and time left rest on statistics. */
            estimated: boolean;
            rows_per_second: number;
            bytes_per_second: number;
            seconds_left: {
                low: number;
                high: number;
            } | null;
            tables: {
                table: {
                    schema: string;
                    name: string;
                };
                phase: string;
                /** @enum {string} */
                state: "waiting" | "running" | "done";
                rows: number;
                bytes: number;
                total: number | null;
                estimated: boolean;
            }[];
        };
        Job: {
            id: string;
            /** @enum {string} */
            kind: "sync" | "verify" | "validate" | "revert" | "export" | "import" | "copy" | "drill";
            /**
             * @description queued: it waits for a process, for connections or for its next try. running: a process is at work on it. awaiting_resolution: it waits until somebody has decided about rows that moved, or that both sides changed. awaiting_approval: it waits until somebody approves its changes. stopping: somebody wants it to stop; the batch in hand is being finished. stopped: it was stopped, and can go on from what is committed. succeeded: it has come to its end, and its receipt proves it. failed: it has ended with an error, and can go on once that is mended. cancelled: it was ended for good; what was committed stays.
             * @enum {string}
             */
            status: "queued" | "running" | "awaiting_resolution" | "awaiting_approval" | "stopping" | "stopped" | "succeeded" | "failed" | "cancelled";
            config_id: string | null;
            config_version: number | null;
            source_datasource_id: string;
            target_datasource_id: string;
            /** @enum {string} */
            mode: "incremental" | "full";
            dry_run: boolean;
            /**
             * @description Of its own policies, whatever its sync config has become: in two ways the source is written too.
             * @enum {string}
             */
            direction: "one_way" | "two_way";
            tables: string[] | null;
            /** @description The job whose rejected rows this one tries again, and no others. */
            replays: string | null;
            /** @enum {string} */
            commit_mode: "streaming" | "staged" | "approval";
            /** @enum {string} */
            audit_level: "none" | "summary" | "standard" | "detailed";
            /** @description The dry run whose changes this one applies, and no others. */
            approves: string | null;
            /** @description The job that this one undoes. */
            reverts: string | null;
            /** @description Of an export: what was asked for. */
            export: components["schemas"]["ExportAsked"] | null;
            /** @description Of an import: what was asked for. */
            import: components["schemas"]["ImportAsked"] | null;
            /** @description Of a copy: what was asked for. */
            copy: components["schemas"]["CopyAsked"] | null;
            /** @description Of a trial of a dump: what was asked for. */
            drill: components["schemas"]["DrillAsked"] | null;
            requested_by: string;
            /** @description The name of who asked for it, as the audit log knows it. */
            started_by: string | null;
            stopping_for: ("stop" | "cancel") | null;
            attempt: number;
            /** @description A failed attempt is tried again after this. */
            not_before: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            started_at: string | null;
            finished_at: string | null;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            updated_at: string;
            progress: components["schemas"]["Progress"] | null;
            counts: components["schemas"]["Counts"] | null;
            error: {
                code: string;
                message: string;
                hint: string;
                retry: string;
            } | null;
            last_event: number;
            links: {
                self: string;
                events: string;
                log: string;
                receipt: string;
                /** @description Null where changes are committed as they go. */
                changes: string | null;
            };
        };
        StartedJob: {
            job_id: string;
            /** @enum {string} */
            status: "queued" | "running" | "awaiting_resolution" | "awaiting_approval" | "stopping" | "stopped" | "succeeded" | "failed" | "cancelled";
            status_url: string;
            events_url: string;
        };
        JobPage: {
            items: components["schemas"]["Job"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        Receipt: {
            job_id: string;
            /** @enum {string} */
            kind: "sync" | "verify" | "validate" | "revert" | "export" | "import" | "copy" | "drill";
            /** @enum {string} */
            status: "queued" | "running" | "awaiting_resolution" | "awaiting_approval" | "stopping" | "stopped" | "succeeded" | "failed" | "cancelled";
            counts: components["schemas"]["Counts"] | null;
            /** @description What was done and proved; for a dry run, what would be. */
            receipt: unknown;
        };
        JobEvent: {
            seq: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            at: string;
            type: string;
            data: unknown;
        };
        JobLogPage: {
            items: components["schemas"]["JobEvent"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        Change: {
            /** @description 1, 2, 3 … over the whole change set. */
            seq: number;
            table: {
                schema: string;
                name: string;
            };
            /** @enum {string} */
            op: "insert" | "update" | "delete";
            key: (string | null)[];
            /** @description The columns that an update changes; null where the row is too large to be kept. */
            changed: string[] | null;
            /** @description Cells as text; null where there is no such row, it is not kept, or not for the caller. */
            before: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description Cells as text; null where there is no such row, it is not kept, or not for the caller. */
            after: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description The row of the target as it was found, where it had moved. */
            now: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description The row is too large to be kept; it is read again when it is applied. */
            large: boolean;
            /**
             * @description planned: it is applied. left: somebody wants it not to be. moved: its row was another one when it was to be applied; somebody decides. again: it is applied to the row as it is now. refused: the target refused it. in_step: the target had it already. written: the job has written it, while it waits for decisions on others.
             * @enum {string}
             */
            mark: "planned" | "left" | "moved" | "again" | "refused" | "in_step" | "written";
            /** @description Its row had moved when it was to be applied, whatever was decided since. */
            moved: boolean;
            reason: string | null;
            decided: {
                by: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
            } | null;
        };
        ChangedTable: {
            source: {
                schema: string;
                name: string;
            };
            target: {
                schema: string;
                name: string;
            };
            key: string[];
            columns: {
                name: string;
                type: string;
            }[];
            /** @description The table is missing, and is made when the changes are applied. */
            created: boolean;
            /** @description Columns that the table lacks, and that are added then. */
            added: string[];
            inserts: number;
            updates: number;
            deletes: number;
            /** @description Of the updates, how many change each column. */
            changed_columns: {
                column: string;
                rows: number;
            }[];
            unchanged: number;
            /** @description Rows of the target alone that stay. */
            kept: number;
            /** @description Rows of the source that cannot be carried. */
            rejected: number;
            /** @description Rows that both sides changed and that nobody had decided on when the changes were computed. */
            conflicts: number;
            marks: {
                planned: number;
                left: number;
                moved: number;
                again: number;
                refused: number;
                in_step: number;
                written: number;
            };
        };
        PlannedDdl: {
            /** @description Without the semicolon at its end. */
            sql: string;
            /** @description What it makes: TABLE, INDEX, COLUMN, … */
            kind: string;
            tables: {
                schema: string;
                name: string;
            }[];
            /**
             * @description When it runs: before the rows are written, or after that.
             * @enum {string}
             */
            stage: "before data" | "after data" | "foreign keys";
            /** @description locks: it alters a table that is there, which nobody else reads or writes for that moment. code: it brings code along that the target runs from then on. */
            risk: ("locks" | "code") | null;
        };
        ChangeSummary: {
            /** @description The job that the changes are kept with. */
            job_id: string;
            /**
             * @description building: they are being computed. ready: they can be looked at. Of the others only this summary is left. lost: they are computed again when the job goes on.
             * @enum {string}
             */
            state: "building" | "ready" | "applied" | "lost" | "expired";
            /** @description Another one each time that the changes are computed; empty before the first. */
            generation: string;
            /** @description SHA-256 over all changes: what an approval is for. */
            digest: string | null;
            changes: number;
            /** @enum {string} */
            staging: "embedded" | "redis";
            sealed_at: string | null;
            /** @description Where the source was. */
            position: string | null;
            tables: components["schemas"]["ChangedTable"][];
            /** @description The statements that change the target's tables when the changes are applied, in their order. */
            ddl: components["schemas"]["PlannedDdl"][];
            notes: string[];
            /** @description The brake at which applying would stop: an approval has to name its number. */
            stop: {
                code: string;
                message: string;
                hint: string;
                retry: string;
            } | null;
            /** @description Changes whose row had moved and that nobody has decided about. */
            open: number;
            approval: {
                by: string;
                name: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
                digest: string;
            } | null;
            /** @description Until when it may be approved, or decided on. */
            expires_at: string | null;
            /** @description The job that applies it, where that is another one. */
            taken_by: string | null;
            /** @description Values of rows are for operators and admins. */
            values_shown: boolean;
        };
        ChangePage: {
            items: components["schemas"]["Change"][];
            /** @description Where the next page begins; null at the end. A page of large rows may be shorter than its limit. */
            next_cursor: string | null;
            summary: components["schemas"]["ChangeSummary"];
        };
        /** @description All of what is named; {} is all changes. */
        ChangeFilter: {
            /**
             * @description Only changes of this table of the target.
             * @example orders
             */
            table?: string;
            /** @example insert,delete */
            op?: string;
            /** @description Only updates that change this column. */
            column?: string;
            /** @description The key of the row; of several columns a JSON list of texts. */
            key?: string;
            /** @example planned,again */
            mark?: string;
        };
        ChangeDecision: {
            /**
             * @description apply: it is applied, and where its row had moved, to the row as it is now. leave: it is not.
             * @enum {string}
             */
            verdict: "apply" | "leave";
            filter?: components["schemas"]["ChangeFilter"];
            /** @description Changes by their numbers. */
            seqs?: number[];
        };
        ChangesDecided: {
            /** @description Decisions that are others now. */
            changed: number;
            /** @description Changes that still wait for a decision. */
            open: number;
            job_id: string;
            /** @description Of the job: it goes on once nothing is open. */
            status: string;
        };
        ApproveRequest: {
            /** @description The digest of the changes that were looked at: if they are others now, it is refused. */
            digest?: string;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        RevertRequest: {
            /** @description Only these tables, by their names in the target. */
            tables?: string[];
            /** @description Only the rows of these keys, of the one table that is named. */
            keys?: (string | null)[][];
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        /** @description A Redis, by its URL or by where that is found. */
        RedisRequest: {
            /**
             * @description redis:// or (TLS) rediss://user:password@host:6379/0. Kept sealed and never shown.
             * @example rediss://syncline:secret@redis.example.com:6379/0
             */
            url?: string;
            /** @description env:NAME, file:PATH or vault:PATH#FIELD in place of url: where the whole URL is looked up. */
            url_reference?: string;
        };
        /** @description A Redis that is not kept; with neither, the one that is set up. */
        RedisTestRequest: {
            /**
             * @description redis:// or (TLS) rediss://user:password@host:6379/0. Kept sealed and never shown.
             * @example rediss://syncline:secret@redis.example.com:6379/0
             */
            url?: string;
            /** @description env:NAME, file:PATH or vault:PATH#FIELD in place of url: where the whole URL is looked up. */
            url_reference?: string;
        };
        RedisSettings: {
            /** @description Where the Redis that is used comes from: REDIS_URL, or what was set up here; null: none. */
            source: ("environment" | "store") | null;
            /** @description Without the password; null where it is a reference. */
            url: string | null;
            has_password: boolean;
            url_reference: string | null;
            /** @description One is set up here, but REDIS_URL comes before it. */
            overridden: boolean;
            updated_at: string | null;
            updated_by: string | null;
            last_test: components["schemas"]["ConnectionTest"] | null;
        };
        RetentionEntry: {
            /** @enum {string} */
            of: "jobs" | "history" | "audit" | "dumps";
            /** @description What holds now. */
            days: number;
            /** @enum {string} */
            source: "environment" | "store" | "default";
            /** @description The variable that comes before what is set here, where it is set. */
            variable: string;
            /** @description What is set here; null: nothing. */
            set: number | null;
            default: number;
            /** @description The least and the most that may be set here. */
            least: number;
            most: number;
        };
        /** @description Room on the disk of the dumps: what all of them may take up together, and what they leave free. */
        SpaceEntry: {
            /** @enum {string} */
            of: "dumps" | "free";
            /** @description What holds now. */
            bytes: number;
            /** @enum {string} */
            source: "environment" | "store" | "default";
            /** @description The variable that comes before what is set here, where it is set. */
            variable: string;
            /** @description What is set here; null: nothing. */
            set: number | null;
            default: number;
            /** @description The least and the most that may be set here. */
            least: number;
            most: number;
        };
        RetentionSettings: {
            entries: components["schemas"]["RetentionEntry"][];
            space: components["schemas"]["SpaceEntry"][];
            updated_at: string | null;
            updated_by: string | null;
        };
        RetentionRequest: {
            /** @description Days that ended jobs are kept; null or left out: 90. */
            jobs_days?: number | null;
            /** @description Days that rows that jobs wrote are kept; null or left out: 30. */
            history_days?: number | null;
            /** @description Days that events of the audit log are kept; null or left out: 365. */
            audit_days?: number | null;
            /** @description Days that dumps (backups for 7 at least) are kept; null or left out: 90. */
            dumps_days?: number | null;
            /** @description Bytes that all dumps together may have; null or left out: 107374182400. */
            dumps_bytes?: number | null;
            /** @description Bytes of the disk of the dumps that they leave free; null or left out: 1073741824. */
            free_bytes?: number | null;
        };
        /** @description An endpoint that speaks the chat API of OpenAI, which refines suggestions for mappings. */
        AiRequest: {
            /**
             * @description Up to and without /chat/completions. Without TLS only on this machine and its network.
             * @example https://models.example.com/v1
             */
            url: string;
            /** @description The model to ask there. */
            model: string;
            /** @description Also send a few values of each column. Default false: names and types of columns alone. */
            send_samples?: boolean;
            /** @description Kept sealed and never shown. null: none. Left out: the one that is kept, as long as the URL leads to the same place. */
            key?: string | null;
            /** @description env:NAME, file:PATH or vault:PATH#FIELD in place of key: where it is looked up. */
            key_reference?: string;
        };
        /** @description An endpoint that is not kept; without one, that which is set up. */
        AiTestRequest: {
            endpoint?: components["schemas"]["AiRequest"];
        };
        AiSettings: {
            /** @description Where the endpoint that is asked comes from: AI_URL and AI_MODEL, or what was set up here; null: none. */
            source: ("environment" | "store") | null;
            url: string | null;
            model: string | null;
            send_samples: boolean;
            has_key: boolean;
            key_reference: string | null;
            /** @description One is set up here, but the environment comes before it. */
            overridden: boolean;
            updated_at: string | null;
            updated_by: string | null;
            last_test: components["schemas"]["ConnectionTest"] | null;
        };
        AuditEvent: {
            /** @description The place in the log: 1, 2, 3 … without gaps. */
            seq: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            at: string;
            /** @description The id of a key, or system, cli or nobody. */
            actor: string;
            actor_name: string;
            /** @description Where the request came from; for admins. */
            address: string | null;
            action: string;
            subject: string | null;
            data: unknown;
            previous_hash: string;
            hash: string;
        };
        AuditPage: {
            items: components["schemas"]["AuditEvent"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        AuditStats: {
            events: number;
            actions: {
                action: string;
                events: number;
            }[];
            actors: {
                actor: string;
                name: string;
                events: number;
            }[];
            /** @description Days in UTC. */
            days: {
                day: string;
                events: number;
            }[];
            /** @description Rows that jobs wrote in the span of time, as far as their history is kept. */
            written: {
                datasource_id: string;
                table: {
                    schema: string;
                    name: string;
                };
                inserted: number;
                updated: number;
                deleted: number;
                /** @description Of the inserted rows, those that came by loads of whole tables. */
                loaded: number;
                batches: number;
            }[];
        };
        AuditCheck: {
            whole: boolean;
            /** @description Events that were checked. */
            events: number;
            /** @description Events up to this one were cut off by the retention, as the log says. */
            cut_through: number | null;
            /** @description The last event as SEQ:HASH: note it elsewhere, and give it as noted the next time. */
            head: string | null;
            /** @description The first event that does not fit, and what is wrong. */
            damage: {
                seq: number;
                /** @enum {string} */
                kind: "missing" | "changed" | "unlinked" | "cut" | "noted";
                message: string;
            } | null;
        };
        WrittenChange: {
            job_id: string;
            /**
             * Format: date-time
             * @description When the batch was told of, shortly before it was committed.
             */
            at: string;
            table: {
                schema: string;
                name: string;
            };
            /** @description The number of the batch in the target. */
            batch: number;
            /**
             * @description patch: completes rows that the job wrote before; load: rows that came at once, without their keys.
             * @enum {string}
             */
            kind: "apply" | "patch" | "load";
            /** @description More than one only where single rows are not told. */
            rows: number;
            /** @description Null where it cannot be read. */
            op: ("insert" | "update" | "delete") | null;
            key_columns: string[];
            key: (string | null)[] | null;
            /** @description Cells as text, bytes as \x and hex; null where there is no row, rows are not kept, or not for the caller. */
            before: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description Cells as text, bytes as \x and hex; null where there is no row, rows are not kept, or not for the caller. */
            after: {
                column: string;
                value: string | null;
            }[] | null;
            note: string | null;
        };
        WrittenChangePage: {
            items: components["schemas"]["WrittenChange"][];
            /** @description Values of rows are for operators and admins. */
            values_shown: boolean;
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        JobAudit: {
            job: components["schemas"]["Job"];
            /** @enum {string} */
            audit_level: "none" | "summary" | "standard" | "detailed";
            started_by: string | null;
            /** @description The oldest first, on the first page alone. */
            events: components["schemas"]["AuditEvent"][];
            /** @description There are more events than shown: see /audit with job. */
            more_events: boolean;
            changes: components["schemas"]["WrittenChangePage"];
        };
        KeyHistory: {
            /** @description The newest first. */
            items: {
                job_id: string;
                /**
                 * Format: date-time
                 * @description When the batch was told of, shortly before it was committed.
                 */
                at: string;
                table: {
                    schema: string;
                    name: string;
                };
                /** @description The number of the batch in the target. */
                batch: number;
                /**
                 * @description patch: completes rows that the job wrote before; load: rows that came at once, without their keys.
                 * @enum {string}
                 */
                kind: "apply" | "patch" | "load";
                /** @description More than one only where single rows are not told. */
                rows: number;
                /** @description Null where it cannot be read. */
                op: ("insert" | "update" | "delete") | null;
                key_columns: string[];
                key: (string | null)[] | null;
                /** @description Cells as text, bytes as \x and hex; null where there is no row, rows are not kept, or not for the caller. */
                before: {
                    column: string;
                    value: string | null;
                }[] | null;
                /** @description Cells as text, bytes as \x and hex; null where there is no row, rows are not kept, or not for the caller. */
                after: {
                    column: string;
                    value: string | null;
                }[] | null;
                note: string | null;
                /** @description Null where the job is not kept any more. */
                job_status: string | null;
                /** @description The name of who started it. */
                started_by: string | null;
                config_id: string | null;
            }[];
            /** @description The last loads of the whole table, by which the row may have come; on the first page. */
            loads: {
                job_id: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
                rows: number;
                /** @description Null where the job is not kept any more. */
                job_status: string | null;
                /** @description The name of who started it. */
                started_by: string | null;
                config_id: string | null;
            }[];
            /** @description Values of rows are for operators and admins. */
            values_shown: boolean;
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        /** @description A schedule as a document would have it; with neither, none. */
        SchedulePreviewRequest: {
            /** @description Seconds from one run to the next, counted from when this was set. Not beside schedule. Default: none. */
            sync_interval?: number;
            /** @description Times at which it runs. Not beside sync_interval. Default: none. */
            schedule?: components["schemas"]["CronSchedule"];
        };
        SchedulePreview: {
            /**
             * @description The schedule as a sentence; null: there is none.
             * @example At 02:30, every day (UTC)
             */
            words: string | null;
            /** @description Of a cron text; null for an interval. */
            time_zone: string | null;
            /** @description What becomes of it when clocks are changed next; null: nothing. */
            note: string | null;
            /** @description The next five; none while it is paused. */
            next_runs: {
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
                /** @description The same moment as clocks of the time zone show it, with their offset. */
                local: string;
            }[];
        };
        ScheduleTick: {
            /**
             * Format: date-time
             * @description The time that it was for.
             */
            tick: string;
            /**
             * Format: date-time
             * @description When it was seen to.
             */
            fired_at: string;
            /** @description More than a minute after its time. */
            late: boolean;
            /** @description Runs before it that were missed, as no service was there: this one stands for all. 100: or more. */
            missed: number;
            /**
             * @description A job was started; it was left out, as a job was still open (skipped); or it was refused, for the reason.
             * @enum {string}
             */
            outcome: "started" | "skipped" | "refused";
            /** @description The job that was started, or that was in the way. */
            job_id: string | null;
            /** @description null where the job is gone. */
            job_status: ("queued" | "running" | "awaiting_resolution" | "awaiting_approval" | "stopping" | "stopped" | "succeeded" | "failed" | "cancelled") | null;
            reason: string | null;
        };
        ScheduleState: {
            /**
             * @description The schedule as a sentence; null: there is none.
             * @example At 02:30, every day (UTC)
             */
            words: string | null;
            /** @description Of a cron text; null for an interval. */
            time_zone: string | null;
            /** @description What becomes of it when clocks are changed next; null: nothing. */
            note: string | null;
            /** @description The next five; none while it is paused. */
            next_runs: {
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
                /** @description The same moment as clocks of the time zone show it, with their offset. */
                local: string;
            }[];
            paused_at: string | null;
            paused_by: string | null;
            /** @description Why the next run would be refused as things stand; null: it would not. */
            refused_for: {
                code: string;
                message: string;
                hint: string;
            } | null;
            /** @description What somebody let its runs write to. */
            consent: {
                allow_protected_write: boolean;
                allow_protected_source_write: boolean;
                /** @description It was given for the databases that the sync config has now. */
                holds: boolean;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
                by: string;
            } | null;
            /** @description The last 20, the newest first. */
            ticks: components["schemas"]["ScheduleTick"][];
        };
        ScheduleConsentRequest: {
            /** @description Runs may write to the target although its environment is protected. Default false. */
            allow_protected_write?: boolean;
            /** @description The same of the source, two ways. */
            allow_protected_source_write?: boolean;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        ScheduleSummary: {
            words: string;
            /** @description null while it is paused. */
            next_run_at: string | null;
            paused: boolean;
            /** @description From the next run to the one after it: how fresh the target is kept. */
            expected_interval_seconds: number | null;
            /** @description The first run since the last good sync, where the one after it has passed as well and still none came to a good end; null: it is as fresh as its schedule has it. */
            overdue_since: string | null;
        };
        Health: {
            /** @enum {string} */
            status: "up" | "down";
        };
        StoreHealth: {
            /** @enum {string} */
            status: "up" | "down";
            /** @enum {string} */
            store: "sqlite" | "postgres";
            store_version: number;
            latency_ms: number;
        };
        Status: {
            /** @enum {string} */
            status: "up" | "down";
            version: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            started_at: string;
            /** @description Job processes that are running. */
            workers: number;
            datasources: number;
            sync_configs: number;
            /** @description How many jobs there are in each status. */
            jobs: {
                [key: string]: number;
            };
        };
        Overview: {
            configs: {
                config_id: string;
                /** @description The sync that was asked for last, dry runs among them. */
                last_job: {
                    id: string;
                    /** @enum {string} */
                    status: "queued" | "running" | "awaiting_resolution" | "awaiting_approval" | "stopping" | "stopped" | "succeeded" | "failed" | "cancelled";
                    /**
                     * Format: date-time
                     * @description ISO 8601, UTC.
                     */
                    created_at: string;
                } | null;
                /** @description When a sync that writes came to a good end last. */
                last_succeeded_at: string | null;
                open_conflicts: number;
                open_rejections: number;
                /** @description What of the tables has changed since the mapping was looked over, when they were last looked at; null: nothing. */
                schema_drift: {
                    changes: number;
                    first: string;
                    /**
                     * Format: date-time
                     * @description ISO 8601, UTC.
                     */
                    seen_at: string;
                } | null;
                /** @description null: it does not run by itself. */
                schedule: components["schemas"]["ScheduleSummary"] | null;
            }[];
            /** @description The last 14 days, the oldest first. */
            days: {
                /** @description A day in UTC, such as 2026-01-31. */
                day: string;
                /** @description Syncs that write, and undos, by how they ended on this day. */
                succeeded: number;
                failed: number;
                inserted: number;
                updated: number;
                deleted: number;
            }[];
        };
        ConflictEntry: {
            id: string;
            config_id: string | null;
            first_job_id: string;
            /** @description The last job that found it, or that carried out what was decided. */
            last_job_id: string;
            /** @description The order in which conflicts were found. */
            seq: number;
            source: {
                schema: string;
                name: string;
            };
            target: {
                schema: string;
                name: string;
            };
            key: (string | null)[];
            /**
             * @description What happened to the row, in the source first. first_contact: the rows differ, and were never known to agree. unique_clash: where it is to be written, another row holds a unique value of it.
             * @enum {string}
             */
            kind: "update_update" | "insert_insert" | "update_delete" | "delete_update" | "first_contact" | "unique_clash";
            /** @description The columns that both sides changed to different values, or those of a unique index; empty: it is about the whole row. */
            fields: string[];
            /**
             * @description The strategy that left it to somebody.
             * @enum {string}
             */
            strategy: "source_wins" | "target_wins" | "newer_wins" | "merge" | "manual" | "webhook";
            /** @description Why it could not be decided; null where the strategy says so. */
            reason: string | null;
            /** @description The asking of a webhook; null where none was asked. */
            webhook: {
                /** @description The webhook-id, which all attempts carry. */
                id: string;
                /**
                 * @description waiting: it is asked, or will be. accepted: it answers later, over the API. answered: it has decided, and a run that carries that out is to be started. given_up: it has not decided in time, and somebody has to. ended: there is nothing to ask any more.
                 * @enum {string}
                 */
                status: "waiting" | "accepted" | "answered" | "given_up" | "ended";
                attempts: number;
                /** @description When it is asked again. */
                next_at: string | null;
                last_at: string | null;
                /** @description Why the last attempt failed, or why no run was started. */
                last_error: string | null;
                /**
                 * Format: date-time
                 * @description From then on somebody has to decide.
                 */
                deadline_at: string;
            } | null;
            /** @description A row was too large to be kept. */
            large: boolean;
            /**
             * @description open: it waits for somebody. resolved: somebody has decided, and the next run carries that out. applied: a run has. closed: it went away by itself.
             * @enum {string}
             */
            status: "open" | "resolved" | "applied" | "closed";
            /** @description source, target: the row of that side. skip: both stay as they are. row: one that was built. Of a unique_clash, the side whose row is kept out: that row, and the row in the way gives its value up. */
            resolution: ("source" | "target" | "skip" | "row") | null;
            resolved: {
                by: string;
                name: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
            } | null;
            /** @description Decisions that did not apply, because a side had changed once more: it was opened again. */
            reopened: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            first_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            last_at: string;
            version: number;
        };
        Conflict: {
            id: string;
            config_id: string | null;
            first_job_id: string;
            /** @description The last job that found it, or that carried out what was decided. */
            last_job_id: string;
            /** @description The order in which conflicts were found. */
            seq: number;
            source: {
                schema: string;
                name: string;
            };
            target: {
                schema: string;
                name: string;
            };
            key: (string | null)[];
            /**
             * @description What happened to the row, in the source first. first_contact: the rows differ, and were never known to agree. unique_clash: where it is to be written, another row holds a unique value of it.
             * @enum {string}
             */
            kind: "update_update" | "insert_insert" | "update_delete" | "delete_update" | "first_contact" | "unique_clash";
            /** @description The columns that both sides changed to different values, or those of a unique index; empty: it is about the whole row. */
            fields: string[];
            /**
             * @description The strategy that left it to somebody.
             * @enum {string}
             */
            strategy: "source_wins" | "target_wins" | "newer_wins" | "merge" | "manual" | "webhook";
            /** @description Why it could not be decided; null where the strategy says so. */
            reason: string | null;
            /** @description The asking of a webhook; null where none was asked. */
            webhook: {
                /** @description The webhook-id, which all attempts carry. */
                id: string;
                /**
                 * @description waiting: it is asked, or will be. accepted: it answers later, over the API. answered: it has decided, and a run that carries that out is to be started. given_up: it has not decided in time, and somebody has to. ended: there is nothing to ask any more.
                 * @enum {string}
                 */
                status: "waiting" | "accepted" | "answered" | "given_up" | "ended";
                attempts: number;
                /** @description When it is asked again. */
                next_at: string | null;
                last_at: string | null;
                /** @description Why the last attempt failed, or why no run was started. */
                last_error: string | null;
                /**
                 * Format: date-time
                 * @description From then on somebody has to decide.
                 */
                deadline_at: string;
            } | null;
            /** @description A row was too large to be kept. */
            large: boolean;
            /**
             * @description open: it waits for somebody. resolved: somebody has decided, and the next run carries that out. applied: a run has. closed: it went away by itself.
             * @enum {string}
             */
            status: "open" | "resolved" | "applied" | "closed";
            /** @description source, target: the row of that side. skip: both stay as they are. row: one that was built. Of a unique_clash, the side whose row is kept out: that row, and the row in the way gives its value up. */
            resolution: ("source" | "target" | "skip" | "row") | null;
            resolved: {
                by: string;
                name: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
            } | null;
            /** @description Decisions that did not apply, because a side had changed once more: it was opened again. */
            reopened: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            first_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            last_at: string;
            version: number;
            /** @description Values of rows are for operators and admins. */
            values_shown: boolean;
            key_columns: string[];
            columns: {
                name: string;
                type: string;
                nullable: boolean;
            }[];
            sides: {
                /**
                 * @description kept: its row is here. none: it has no row. not_kept: the row was too large.
                 * @enum {string}
                 */
                source: "kept" | "none" | "not_kept" | "unknown";
                /**
                 * @description kept: its row is here. none: it has no row. not_kept: the row was too large.
                 * @enum {string}
                 */
                target: "kept" | "none" | "not_kept" | "unknown";
            };
            /** @description Cells as text; null where there is no such row, it is not kept, or not for the caller. */
            source_row: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description Cells as text; null where there is no such row, it is not kept, or not for the caller. */
            target_row: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description What both sides agreed on last, where that is known by its values. */
            base_row: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description The row as far as it merges by itself, with the values of the target else. */
            merged_row: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description The row that somebody built in place of both. */
            built_row: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description Of a unique_clash: the other row that has the value. */
            holder: {
                /**
                 * @description Where the row cannot be written.
                 * @enum {string}
                 */
                side: "source" | "target";
                key: (string | null)[];
                /** @description The unique index, or constraint. */
                index: string;
                columns: string[];
                /** @description Cells as text; null where there is no such row, it is not kept, or not for the caller. */
                row: {
                    column: string;
                    value: string | null;
                }[] | null;
                /** @description The column that becomes NULL in it where the row of the other side is taken; null: none can, and such a decision is refused. */
                yields: string | null;
            } | null;
            /** @description Somebody has decided that there is to be no row. */
            removes_row: boolean;
            /** @description The columns in which the rows differ; values are null for who may not see them. */
            differences: {
                column: string;
                source: string | null;
                target: string | null;
                base: string | null;
                /** @enum {string} */
                changed_by: "source" | "target" | "both" | "unknown";
                in_conflict: boolean;
            }[];
            note: string | null;
        };
        ConflictPage: {
            items: components["schemas"]["ConflictEntry"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
            /** @description How many there are of each status, whatever the filter says of that. */
            counts: {
                open: number;
                resolved: number;
                applied: number;
                closed: number;
            };
            /** @description All that the filter lets through, by sync and by what caused them; the largest first, and 100 at most. */
            groups: {
                config_id: string | null;
                /** @description The youngest of the jobs that saw them last. */
                last_job_id: string;
                target: {
                    schema: string;
                    name: string;
                };
                /**
                 * @description What happened to the row, in the source first. first_contact: the rows differ, and were never known to agree. unique_clash: where it is to be written, another row holds a unique value of it.
                 * @enum {string}
                 */
                kind: "update_update" | "insert_insert" | "update_delete" | "delete_update" | "first_contact" | "unique_clash";
                fields: string[];
                conflicts: number;
                /** @description How many of them wait for somebody. */
                open: number;
            }[];
        };
        ResolveRequest: {
            /** @description Decide all later conflicts of the same sort alike: of the same table of the sync config and the same kind, in which both sides changed the same columns. */
            remember?: boolean;
            /** @description With remember: whichever columns both sides changed. */
            remember_any_fields?: boolean;
            /** @enum {string} */
            take: "source" | "target" | "skip" | "row";
            /** @description For row: columns of the target as text, as the server would write them, null for NULL. In place of all of them null: there is to be no row. */
            values?: {
                [key: string]: string | null;
            } | null;
            /**
             * @description For row: where the other columns come from. Default merged, else target, else source.
             * @enum {string}
             */
            rest?: "merged" | "source" | "target";
            /** @description Start a run that carries out what was decided, of the tables that it is about. Default true. */
            start?: boolean;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        ResolveAllRequest: {
            /** @description Which conflicts; an empty one is for all that are open. */
            filter?: {
                /** @description Default open. */
                status?: ("open" | "resolved" | "applied")[];
                kind?: ("update_update" | "insert_insert" | "update_delete" | "delete_update" | "first_contact" | "unique_clash")[];
                strategy?: ("source_wins" | "target_wins" | "newer_wins" | "merge" | "manual" | "webhook")[];
                /** @description Both sides changed these very columns, as groups has them; []: it is about the whole row. */
                fields?: string[];
                /**
                 * @description The table of the target.
                 * @example orders
                 */
                table?: string;
                /** @description A column that both sides changed. */
                field?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
            };
            /** @description Decide all later conflicts of the same sort alike: of the same table of the sync config and the same kind, in which both sides changed the same columns. */
            remember?: boolean;
            /** @description With remember: whichever columns both sides changed. */
            remember_any_fields?: boolean;
            /** @enum {string} */
            take: "source" | "target" | "skip";
            /** @description Only these. */
            ids?: string[];
            /** @description Say what it would be about, and decide nothing. */
            dry_run?: boolean;
            /** @description Refuse unless it is about this very number of conflicts. */
            expect?: number;
            /** @description Refuse unless the conflicts are still those of the dry run that answered it. */
            digest?: string;
            /** @description Start a run that carries out what was decided, of the tables that it is about. Default true. */
            start?: boolean;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        ResolveManyRequest: {
            /** @description Which conflicts; an empty one is for all that are open. */
            filter?: {
                /** @description Default open. */
                status?: ("open" | "resolved" | "applied")[];
                kind?: ("update_update" | "insert_insert" | "update_delete" | "delete_update" | "first_contact" | "unique_clash")[];
                strategy?: ("source_wins" | "target_wins" | "newer_wins" | "merge" | "manual" | "webhook")[];
                /** @description Both sides changed these very columns, as groups has them; []: it is about the whole row. */
                fields?: string[];
                /**
                 * @description The table of the target.
                 * @example orders
                 */
                table?: string;
                /** @description A column that both sides changed. */
                field?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
                /** @description The id of a job. */
                job?: string;
            };
            /** @description Decide all later conflicts of the same sort alike: of the same table of the sync config and the same kind, in which both sides changed the same columns. */
            remember?: boolean;
            /** @description With remember: whichever columns both sides changed. */
            remember_any_fields?: boolean;
            /** @enum {string} */
            take: "source" | "target" | "skip";
            /** @description Only these. */
            ids?: string[];
            /** @description Say what it would be about, and decide nothing. */
            dry_run?: boolean;
            /** @description Refuse unless it is about this very number of conflicts. */
            expect?: number;
            /** @description Refuse unless the conflicts are still those of the dry run that answered it. */
            digest?: string;
            /** @description Start a run that carries out what was decided, of the tables that it is about. Default true. */
            start?: boolean;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        ResolvedConflict: {
            conflict: components["schemas"]["Conflict"];
            /** @description The run that carries it out, where one was started. */
            job_id: string | null;
            /** @description The job of the same sync because of which none was started. */
            active_job_id: string | null;
            /** @description Why no run was started, where one was to be. */
            note: string | null;
        };
        CarryOutRequest: {
            /** @description Only what this job saw first or last. */
            job?: string;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        CarryOutJobRequest: {
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        CarriedOut: {
            /** @description Decisions that no run has carried out. */
            conflicts: number;
            tables: {
                target: {
                    schema: string;
                    name: string;
                };
                conflicts: number;
            }[];
            /** @description The run that carries it out, where one was started. */
            job_id: string | null;
            /** @description The job of the same sync because of which none was started. */
            active_job_id: string | null;
            /** @description Why no run was started, where one was to be. */
            note: string | null;
        };
        ResolvedConflicts: {
            dry_run: boolean;
            /** @description How many it is about. */
            conflicts: number;
            kinds: {
                /**
                 * @description What happened to the row, in the source first. first_contact: the rows differ, and were never known to agree. unique_clash: where it is to be written, another row holds a unique value of it.
                 * @enum {string}
                 */
                kind: "update_update" | "insert_insert" | "update_delete" | "delete_update" | "first_contact" | "unique_clash";
                conflicts: number;
            }[];
            tables: {
                target: {
                    schema: string;
                    name: string;
                };
                conflicts: number;
            }[];
            digest: string;
            /** @description The run that carries it out, where one was started. */
            job_id: string | null;
            /** @description The job of the same sync because of which none was started. */
            active_job_id: string | null;
            /** @description Why no run was started, where one was to be. */
            note: string | null;
        };
        /** @description What somebody has decided once for all conflicts of a sort. */
        ConflictRules: {
            items: {
                id: string;
                target: {
                    schema: string;
                    name: string;
                };
                /**
                 * @description What happened to the row, in the source first. first_contact: the rows differ, and were never known to agree. unique_clash: where it is to be written, another row holds a unique value of it.
                 * @enum {string}
                 */
                kind: "update_update" | "insert_insert" | "update_delete" | "delete_update" | "first_contact" | "unique_clash";
                /** @description The columns that both sides changed; null: whichever they are. */
                fields: string[] | null;
                /** @enum {string} */
                take: "source" | "target" | "skip";
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                created_at: string;
                created_by: {
                    id: string;
                    name: string;
                };
            }[];
        };
        DemoData: {
            /**
             * @description none: there is no demo data. ready: it is there. ended: the databases have gone with the process of the service that held them; what is registered of them is still there.
             * @enum {string}
             */
            state: "none" | "ready" | "ended";
            source_datasource_id: string | null;
            target_datasource_id: string | null;
            config_id: string | null;
            /** @description Why none can be made here, and what to do instead; null where it can. */
            unavailable: {
                message: string;
                hint: string;
            } | null;
        };
        DemoEdits: {
            edits: {
                /** @enum {string} */
                end: "source" | "target";
                words: string;
            }[];
        };
        ExportRequest: {
            /** @description What is exported: a datasource, by id or name. */
            datasource: string;
            /**
             * @description Definitions and rows, or one of them. Default all.
             * @enum {string}
             */
            content?: "all" | "schema" | "data";
            /** @description Only these schemas. Default: all but those of the system, of the provider and our own. */
            schemas?: string[];
            /** @description None of these schemas. */
            exclude_schemas?: string[];
            /** @description Only these tables, as schema.table, with * for any characters; with the types, functions and sequences that they need. */
            tables?: string[];
            /** @description No rows of these tables; they are made all the same, unless tables are named. */
            exclude_tables?: string[];
            /** @description Who owns what. Default false. */
            owners?: boolean;
            /** @description Who has been granted what. Default false. */
            grants?: boolean;
            /** @description It goes into a project of the same provider: foreign keys, policies and all else that leads to its schemas and roles stays. Default false: what could not be made elsewhere is left out, and named. */
            same_provider?: boolean;
            /** @description Tables, and pieces of large ones, that are read at once. What comes of it is the same. Default 1. */
            parallel?: number;
            /**
             * @description Rows as COPY blocks, or as INSERTs of several rows, which are slower. Default copy.
             * @enum {string}
             */
            style?: "copy" | "insert";
            /**
             * @description Default zstd.
             * @enum {string}
             */
            compression?: "none" | "gzip" | "zstd";
            /** @description Seals the file with the passphrase that is found under env:NAME, file:PATH or vault:PATH#FIELD. */
            passphrase_reference?: string;
        };
        ImportRequest: {
            /** @description Into what it is imported: a datasource, by id or name. */
            datasource: string;
            /** @description The id of a dump in the directory. */
            dump: string;
            /** @description Check the whole file and tell what would be made, replaced and refused. Writes nothing. */
            dry_run?: boolean;
            /** @description Replace what the dump makes and is there already; else that is refused. Default false. */
            replace?: boolean;
            /** @description Keep what is replaced as a dump, which is read back and checked, first. Default true. */
            backup?: boolean;
            /** @description Keep what is replaced readable while the dump is restored, and exchange it at the end. Refused where the schemas hold what cannot be carried over. Default false: readers wait for the end of the import. */
            swap?: boolean;
            /** @description plan_digest of the receipt of a dry run: where something else would be made or replaced by now, it is refused. */
            agreed_plan?: string;
            /** @description The file may do whatever the login may: it is imported with a superuser, and may hold event triggers, foreign tables and untrusted languages. Default false. */
            trust_file?: boolean;
            /** @description Who owns what, as the dump has it. Default false. */
            owners?: boolean;
            /** @description Who has been granted what. Default false. */
            grants?: boolean;
            /** @description Where the passphrase is found of a dump that is sealed: env:NAME, file:PATH or vault:PATH#FIELD. */
            passphrase_reference?: string;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        DrillRequest: {
            /** @description A datasource, by id or name: on its server a database is made, and dropped again, that the dump is restored into. */
            into: string;
            /** @description The file may do whatever the login may: it is imported with a superuser, and may hold event triggers, foreign tables and untrusted languages. Default false. */
            trust_file?: boolean;
            /** @description Who owns what, as the dump has it. Default false. */
            owners?: boolean;
            /** @description Who has been granted what. Default false. */
            grants?: boolean;
            /** @description Where the passphrase is found of a dump that is sealed: env:NAME, file:PATH or vault:PATH#FIELD. */
            passphrase_reference?: string;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        Drill: {
            job_id: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            at: string;
            /** @description On which server, as it calls itself. */
            server: string;
            /** @description It was restored, and what was restored is what the dump says. */
            works: boolean;
            /** @description What is wrong with it; empty where it works. */
            faults: string[];
        };
        DumpHead: {
            /** @description The version of the program that wrote it. */
            program: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            made_at: string;
            database: string;
            server: string;
            server_major: number;
            /** @enum {string} */
            content: "all" | "schema" | "data";
            /** @enum {string} */
            style: "copy" | "insert";
            /** @description Schemas or tables were left out because somebody wanted that. */
            partial: boolean;
            /** @description Tables whose rows are in it. */
            tables: number;
        };
        Dump: {
            id: string;
            /** @description The name of the file, in the directory of dumps. */
            file: string;
            /** @enum {string} */
            origin: "export" | "backup" | "upload";
            database: string | null;
            /** @description Null of a file that was uploaded. */
            datasource_id: string | null;
            job_id: string | null;
            /** @enum {string} */
            compression: "none" | "gzip" | "zstd";
            /** @description It opens with its passphrase alone. */
            sealed: boolean;
            bytes: number;
            /** @description Of the file, in hex. */
            sha256: string;
            /** @description What the dump says of itself; null of a sealed one that was uploaded, and of what another program wrote. */
            head: components["schemas"]["DumpHead"] | null;
            rows: number | null;
            /** @description Of SQL, before it was packed. */
            sql_bytes: number | null;
            notes: string[];
            /** @description What came of the last trial; null where nobody has tried it. */
            drill: components["schemas"]["Drill"] | null;
            created_by: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            links: {
                self: string;
                file: string;
                job: string | null;
            };
        };
        DumpPage: {
            items: components["schemas"]["Dump"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
            /** @description What all dumps that the key may see come to, and what those in the directory may. */
            total: {
                dumps: number;
                bytes: number;
                most_bytes: number;
            };
            /** @description How the newest export of each datasource is tried by itself (DUMP_DRILL_INTO); null where it is not, or where the key does not see that datasource. */
            drills: {
                /** @description The datasource on whose server they are tried, as it is called. */
                into: string;
                /** @description Null where there is none of that name. */
                datasource_id: string | null;
            } | null;
        };
        DeletedDump: {
            id: string;
            deleted: boolean;
        };
        CopyRequest: {
            /** @description What is copied: a datasource, by id or name. */
            source: string;
            /** @description Into what: another datasource, by id or name. */
            target: string;
            /**
             * @description Definitions and rows, or one of them. Default all.
             * @enum {string}
             */
            content?: "all" | "schema" | "data";
            /** @description Only these schemas. Default: all but those of the system, of the provider and our own. */
            schemas?: string[];
            /** @description None of these schemas. */
            exclude_schemas?: string[];
            /** @description Only these tables, as schema.table, with * for any characters; with the types, functions and sequences that they need. */
            tables?: string[];
            /** @description No rows of these tables; they are made all the same, unless tables are named. */
            exclude_tables?: string[];
            /** @description Who owns what. Default false. */
            owners?: boolean;
            /** @description Who has been granted what. Default false. */
            grants?: boolean;
            /** @description It goes into a project of the same provider: foreign keys, policies and all else that leads to its schemas and roles stays. Default false: what could not be made elsewhere is left out, and named. */
            same_provider?: boolean;
            /** @description Tables, and pieces of large ones, that are read at once. What comes of it is the same. Default 1. */
            parallel?: number;
            /** @description Only rows that meet these; several of one table must all be met. */
            filters?: components["schemas"]["RowFilter"][];
            /** @description Columns whose values become others on their way. */
            masks?: components["schemas"]["ColumnMask"][];
            /** @description Tell what would be made, replaced and refused. Writes nothing. */
            dry_run?: boolean;
            /** @description Replace what the copy makes and is there already; else that is refused. Default false. */
            replace?: boolean;
            /** @description Keep what is replaced as a dump, which is read back and checked, first. Default true. */
            backup?: boolean;
            /** @description What the source brings may do whatever the login of the target may: it is copied with a superuser, and may hold event triggers, foreign tables and untrusted languages. Default false. */
            trust_source?: boolean;
            /** @description plan_digest of the receipt of a dry run: where something else would be made or replaced by now, it is refused. */
            agreed_plan?: string;
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        RejectionEntry: {
            id: string;
            config_id: string | null;
            first_job_id: string;
            last_job_id: string;
            replay_job_id: string | null;
            /** @description The order in which rows were set aside, and are replayed. */
            seq: number;
            source: {
                schema: string;
                name: string;
            };
            target: {
                schema: string;
                name: string;
            };
            /** @enum {string} */
            op: "insert" | "update" | "delete";
            key: (string | null)[];
            /**
             * @description Whose key it is.
             * @enum {string}
             */
            key_in: "source" | "target";
            /** @description The field that it is about; null: the whole row. */
            column: string | null;
            /** @description A code of the server (SQLSTATE), or the name of the rule or step. */
            code: string;
            reason: string;
            /** @enum {string} */
            status: "open" | "edited" | "replayed" | "dismissed" | "gone";
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            first_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            last_at: string;
            version: number;
        };
        Rejection: {
            id: string;
            config_id: string | null;
            first_job_id: string;
            last_job_id: string;
            replay_job_id: string | null;
            /** @description The order in which rows were set aside, and are replayed. */
            seq: number;
            source: {
                schema: string;
                name: string;
            };
            target: {
                schema: string;
                name: string;
            };
            /** @enum {string} */
            op: "insert" | "update" | "delete";
            key: (string | null)[];
            /**
             * @description Whose key it is.
             * @enum {string}
             */
            key_in: "source" | "target";
            /** @description The field that it is about; null: the whole row. */
            column: string | null;
            /** @description A code of the server (SQLSTATE), or the name of the rule or step. */
            code: string;
            reason: string;
            /** @enum {string} */
            status: "open" | "edited" | "replayed" | "dismissed" | "gone";
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            first_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            last_at: string;
            version: number;
            /** @description Values of rows are for operators and admins. */
            values_shown: boolean;
            /** @description The value that was refused. */
            value: string | null;
            /** @description Cells as text; null where they are not kept, or not for the caller. */
            row: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description Cells as text; null where they are not kept, or not for the caller. */
            mapped: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description Cells as text; null where they are not kept, or not for the caller. */
            edited: {
                column: string;
                value: string | null;
            }[] | null;
            /** @description The fields of the target that can be given values, the key first. */
            fields: {
                name: string;
                type: string;
                nullable: boolean;
            }[];
            note: string | null;
        };
        RejectionPage: {
            items: components["schemas"]["RejectionEntry"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
            /** @description All that the filter lets through, by what caused them; the largest first. */
            groups: {
                target: {
                    schema: string;
                    name: string;
                };
                column: string | null;
                code: string;
                /** @enum {string} */
                status: "open" | "edited" | "replayed" | "dismissed" | "gone";
                /** @description Of one of the rows. */
                reason: string;
                rows: number;
            }[];
        };
        RejectionEdit: {
            /** @description Fields of the target as text, as the server would write them; null for NULL. */
            values: {
                [key: string]: string | null;
            };
        };
        ReplayRequest: {
            /** @description Only these; without it, all that are open or edited. */
            rejections?: string[];
            /** @description Write although the environment of the target is protected; needs confirm. */
            allow_protected_write?: boolean;
            /** @description Two ways: write although the environment of the source is protected; needs confirm, the name of the target. */
            allow_protected_source_write?: boolean;
            /** @description The very number of deletes that a brake named; needs confirm. */
            approve_deletes?: number | null;
            /** @description The very number of overwrites that a brake named; needs confirm. */
            approve_overwrites?: number | null;
            /** @description The name of what this is done to, typed out: it cannot be taken back. */
            confirm?: string;
        };
        SchemaChange: {
            /** @enum {string} */
            side: "source" | "target";
            table: {
                schema: string;
                name: string;
            };
            /** @enum {string} */
            kind: "table_added" | "table_dropped" | "column_added" | "column_dropped" | "column_renamed" | "column_changed" | "key_changed";
            /** @description null where the table as a whole has changed. */
            column: string | null;
            /** @description The type, the name or the key as it was. */
            before: string | null;
            /** @description The same as it is. */
            after: string | null;
            words: string;
        };
        SchemaDrift: {
            /** @description When the mapping was last looked over with the tables as they were; null: never yet. */
            known_at: string | null;
            /** @description When the databases were last looked at. */
            seen_at: string | null;
            /** @description Of the tables as they were seen then: what is accepted is this. */
            digest: string | null;
            changes: components["schemas"]["SchemaChange"][];
        };
        AcceptDriftRequest: {
            /** @description The digest of the tables that were looked at: if they are others now, it is refused. */
            digest: string;
        };
        ExportScheduleRequest: {
            schedule: components["schemas"]["CronSchedule"];
            /**
             * @description Definitions and rows, or one of them. Default all.
             * @enum {string}
             */
            content?: "all" | "schema" | "data";
            /** @description Only these schemas. Default: all but those of the system, of the provider and our own. */
            schemas?: string[];
            /** @description None of these schemas. */
            exclude_schemas?: string[];
            /** @description Only these tables, as schema.table, with * for any characters; with the types, functions and sequences that they need. */
            tables?: string[];
            /** @description No rows of these tables; they are made all the same, unless tables are named. */
            exclude_tables?: string[];
            /** @description Who owns what. Default false. */
            owners?: boolean;
            /** @description Who has been granted what. Default false. */
            grants?: boolean;
            /** @description It goes into a project of the same provider: foreign keys, policies and all else that leads to its schemas and roles stays. Default false: what could not be made elsewhere is left out, and named. */
            same_provider?: boolean;
            /** @description Tables, and pieces of large ones, that are read at once. What comes of it is the same. Default 1. */
            parallel?: number;
            /**
             * @description Rows as COPY blocks, or as INSERTs of several rows, which are slower. Default copy.
             * @enum {string}
             */
            style?: "copy" | "insert";
            /**
             * @description Default zstd.
             * @enum {string}
             */
            compression?: "none" | "gzip" | "zstd";
            /** @description Seals the file with the passphrase that is found under env:NAME, file:PATH or vault:PATH#FIELD. */
            passphrase_reference?: string;
        };
        ExportScheduleSummary: {
            datasource_id: string;
            /** @description The name of what is exported. */
            datasource: string;
            /**
             * @description The schedule as a sentence.
             * @example At 02:30, every day (UTC)
             */
            words: string;
            paused_at: string | null;
            paused_by: string | null;
            /** @description The newest export of it that is still kept, and whether it works: null where nobody tried. */
            last_dump: {
                id: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                created_at: string;
                works: boolean | null;
            } | null;
            /** @description Since when there ought to be a newer export: two times have passed without one. null: there is none to wait for. */
            overdue_since: string | null;
            /** @description null while it is paused. */
            next_run_at: string | null;
        };
        ExportScheduleList: {
            items: components["schemas"]["ExportScheduleSummary"][];
        };
        ExportSchedule: {
            /**
             * @description The schedule as a sentence.
             * @example At 02:30, every day (UTC)
             */
            words: string;
            /** @description Of a cron text; null for an interval. */
            time_zone: string | null;
            /** @description What becomes of it when clocks are changed next; null: nothing. */
            note: string | null;
            /** @description The next five; none while it is paused. */
            next_runs: {
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                at: string;
                /** @description The same moment as clocks of the time zone show it, with their offset. */
                local: string;
            }[];
            datasource_id: string;
            /** @description The name of what is exported. */
            datasource: string;
            paused_at: string | null;
            paused_by: string | null;
            /** @description The newest export of it that is still kept, and whether it works: null where nobody tried. */
            last_dump: {
                id: string;
                /**
                 * Format: date-time
                 * @description ISO 8601, UTC.
                 */
                created_at: string;
                works: boolean | null;
            } | null;
            /** @description Since when there ought to be a newer export: two times have passed without one. null: there is none to wait for. */
            overdue_since: string | null;
            schedule: components["schemas"]["CronSchedule"];
            /** @description What is exported, and how. */
            export: components["schemas"]["ExportAsked"];
            /** @description The last 20, the newest first. */
            ticks: components["schemas"]["ScheduleTick"][];
        };
        DeletedExportSchedule: {
            datasource_id: string;
            deleted: boolean;
        };
        MappingQuestion: {
            /**
             * @description The table as it is called in the source. Default: the first one that the sync config names.
             * @example orders
             */
            table?: string;
            /** @description Rows to be looked at. Default 20. */
            limit?: number;
        };
        MappingPreviewDraft: {
            /**
             * @description The table as it is called in the source. Default: the first one that the sync config names.
             * @example orders
             */
            table?: string;
            /** @description Rows to be looked at. Default 20. */
            limit?: number;
            config: components["schemas"]["CheckedSyncConfig"];
        };
        ValidateDraftRequest: {
            /**
             * @description The table as it is called in the source. Default: the first one that the sync config names.
             * @example orders
             */
            table?: string;
            /** @description Count the rows that do not fit, too. Default true. */
            count?: boolean;
            config: components["schemas"]["CheckedSyncConfig"];
        };
        MappingPreview: {
            source: string;
            target: string;
            /** @description Columns of the source that the mapping reads: the cells of `source`. */
            columns: string[];
            /** @description The cells of `before` and `after`, the key first. */
            fields: {
                target: string;
                /** @description As the target spells it. */
                type: string;
                columns: string[];
                /** @enum {string} */
                kind: "direct" | "computed";
                /** @description What steps that somebody chose lose for good. */
                losses: string[];
                /** @description Why the field could not be carried back; null where it could. */
                one_way: string | null;
            }[];
            key_length: number;
            unmapped: {
                source: string[];
                target: string[];
            };
            rows: {
                source: (string | null)[];
                /** @description What the target has under the key now. */
                before: (string | null)[] | null;
                /** @description What it would have; null where the row cannot be carried or is filtered. */
                after: (string | null)[] | null;
                fault: {
                    code: string;
                    column: string | null;
                    reason: string;
                    value: string | null;
                } | null;
                warnings: string[];
                filtered: boolean;
                /** @description What the mapping of the row took, in microseconds. */
                micros: number;
            }[];
            notes: string[];
        };
        MatchQuestion: {
            /**
             * @description The table as it is called in the source. Default: all of them.
             * @example orders
             */
            table?: string;
            /** @description Columns of the source to match by, in place of the key of the mapping: to try them out. */
            by?: string[];
            /**
             * @description List rows of the table too. differing: pairs with other values. duplicates: match fields that several rows of a side share. source_only, target_only: rows of one side alone.
             * @enum {string}
             */
            list?: "differing" | "duplicates" | "source_only" | "target_only";
            /** @description Entries in a page of the list. Default 20. */
            limit?: number;
            /** @description next_cursor of the page before; without it the first page. */
            cursor?: string;
        };
        MatchPreview: {
            tables: {
                source: string;
                target: string;
                /** @description The columns by which rows are the same: the key of the mapping, or those that were asked for. */
                match_by: {
                    source: string;
                    target: string;
                }[];
                /** @description Null where the tables cannot be compared. */
                counts: {
                    rows: {
                        source: number;
                        target: number;
                    };
                    /** @description Pairs of rows that are the same in all columns that are carried. */
                    equal: number;
                    /** @description Pairs of rows that have other values. */
                    differing: number;
                    source_only: number;
                    target_only: number;
                    /** @description Values that several rows of a side share, and the rows of each side that have them. */
                    duplicates: {
                        values: number;
                        source: number;
                        target: number;
                    };
                    /** @description Rows in which a match field is NULL. */
                    without: {
                        source: number;
                        target: number;
                    };
                    /** @description Rows of the source that the mapping cannot carry. */
                    rejected: number;
                } | null;
                /** @description Why a run would not begin with this table. */
                problems: string[];
            }[];
            notes: string[];
            list: {
                /** @description The cells of the rows; the match fields come first. */
                columns: string[];
                items: {
                    key: (string | null)[];
                    /** @description How many rows of each side have the key. */
                    rows: {
                        source: number;
                        target: number;
                    };
                    source: (string | null)[] | null;
                    /** @description Null where there is no such row, there are several, or it is too large. */
                    target: (string | null)[] | null;
                    /** @description The columns in which the two rows differ. */
                    differs: string[];
                }[];
                /** @description Where the next page begins; null at the end. */
                next_cursor: string | null;
            } | null;
        };
        AdviseRequest: {
            /** @description Only these tables of the source; default those of the sync config, or all tables of the datasource. */
            tables?: string[];
        };
        DetectionProposal: {
            /** @enum {string} */
            strategy: "hash" | "full" | "content" | "primary_key" | "timestamp" | "rowversion";
            /** @description Null where the strategy needs none. */
            cursor_column: string | null;
            /**
             * @description How much a run is sure to see, as far as the facts bear that: with a cursor, exact is said of inserts and updates.
             * @enum {string}
             */
            label: "exact" | "bounded" | "best effort";
            /** @description What a run reads, in words. */
            cost: string;
            reasons: string[];
            /** @description What a run by this strategy does not find. */
            cannot_see: string[];
            needs: {
                text: string;
                /** @description The statement that mends it, where there is one. */
                sql: string | null;
                /** @description Without it no run can be; else it makes runs cheaper or see more. */
                required: boolean;
            }[];
        };
        AdvisedTable: {
            source: string;
            /** @description As the sync config has it now; null where there is none. */
            current: {
                /** @enum {string} */
                strategy: "hash" | "full" | "content" | "primary_key" | "timestamp" | "rowversion";
                cursor_column: string | null;
            } | null;
            /** @description Best first. */
            proposals: components["schemas"]["DetectionProposal"][];
            /** @description What one might think of, and why it does not do. */
            ruled_out: {
                strategy: ("hash" | "full" | "content" | "primary_key" | "timestamp" | "rowversion") | null;
                column: string | null;
                why: string;
            }[];
            /** @description What could not be read of the table; no proposal rests on it. */
            unknown: string[];
            /** @description What stands in the way of the table whatever the strategy. */
            notes: string[];
        };
        /** @description Nothing of it is applied until somebody puts it into a config. */
        DetectionAdvice: {
            tables: components["schemas"]["AdvisedTable"][];
            /** @description Tables beyond what one request looks into: ask for them by name. */
            left_out: string[];
        };
        SuggestRequest: {
            /** @description Only these tables of the source; default those of the config. */
            tables?: string[];
            /** @description Also ask the model that is configured, if there is one. Default true. */
            refine?: boolean;
        };
        SuggestDraftRequest: {
            /** @description The id or the name of a datasource. */
            source_datasource_id: string;
            /** @description The id or the name of a datasource. */
            target_datasource_id: string;
            /** @description Default: every table of the source for which the target has one that suits it. */
            tables?: {
                /**
                 * @description schema.table, or table for one in public.
                 * @example orders
                 */
                source: string;
                /**
                 * @description Where it goes; where not given, that is suggested as well.
                 * @example orders
                 */
                target?: string;
            }[];
            /** @description Also ask the model that is configured, if there is one. Default true. */
            refine?: boolean;
        };
        SuggestedField: {
            /** @description As an entry of field_mappings. */
            mapping: components["schemas"]["FieldMapping"];
            /** @description From 0 to 1: how likely it is meant. No probability. */
            score: number;
            /** @description What speaks for it and against it, in words. */
            reasons: string[];
            /** @description Rows with the same key on both sides in which it was seen to be right; null: none were. */
            verified_rows: number | null;
            /** @description The same as a CEL expression, where that is short. */
            expression: string | null;
            /** @enum {string} */
            by: "offline" | "ai";
        };
        SuggestedTable: {
            source: string;
            target: string;
            /** @description From 0 to 1: how likely it is meant. No probability. */
            score: number;
            /** @description What speaks for it and against it, in words. */
            reasons: string[];
            /** @description At most one for each column of the target, in the order of its columns. */
            fields: components["schemas"]["SuggestedField"][];
            /** @description What else could feed a column of the target. */
            candidates: components["schemas"]["SuggestedField"][];
            unmapped: {
                source: string[];
                target: string[];
            };
            /** @description Rows that were looked at on each side, and rows that both have. */
            sampled: {
                source: number;
                target: number;
                matched: number;
            };
            notes: string[];
        };
        /** @description Nothing of it is applied until somebody puts it into a config. */
        MappingSuggestions: {
            tables: components["schemas"]["SuggestedTable"][];
            /** @description Tables of the source for which the target has none that suits. */
            unmatched: string[];
            /** @description Pairs beyond what one request looks into: ask for them by name. */
            left_out: {
                source: string;
                target: string;
            }[];
        };
        SyncConfig: {
            /**
             * @description A name, unique among its kind.
             * @example shop to analytics
             */
            name: string;
            /** @description The id or the name of a datasource. */
            source_datasource_id: string;
            /** @description The id or the name of a datasource. */
            target_datasource_id: string;
            /** @description Seconds from one run to the next, counted from when this was set. Not beside schedule. Default: none. */
            sync_interval?: number;
            /** @description Times at which it runs. Not beside sync_interval. Default: none. */
            schedule?: components["schemas"]["CronSchedule"];
            /**
             * @description What becomes of a run whose time comes while a job of the sync config is still open: it is left out, and that is told (skip). Default skip.
             * @enum {string}
             */
            overlap_policy?: "skip";
            /** @description Default: every table that both sides have. */
            tables?: components["schemas"]["TableMapping"][];
            /** @description Tables that a pattern would pick, and that stay out. */
            exclude_tables?: string[];
            /**
             * @description Whether changes of the source reach the target, or those of either side the other. Default one_way.
             * @enum {string}
             */
            direction?: "one_way" | "two_way";
            /**
             * @description How changes are found: by digests of row ranges (hash), row by row (full), value by value (content), by keys alone (primary_key: no updates), or by a column that says what was written since (timestamp, rowversion: deletes by a pass of their own). Default hash.
             * @enum {string}
             */
            detection_strategy?: "hash" | "full" | "content" | "primary_key" | "timestamp" | "rowversion";
            /** @description The column of the source, set by every insert and update, that timestamp and rowversion go by. */
            cursor_column?: string;
            /** @description How long a transaction of the source is taken to last where the login does not see the sessions of others: so much is read again. Default 300. */
            cursor_window_seconds?: number;
            /** @description With timestamp and rowversion: how often keys are compared to find deleted rows, where they are to be deleted; 0 is each run. Default 24. */
            delete_check_hours?: number;
            /**
             * @description What becomes of a row that both sides changed since they were last in step. With any but source_wins, what the target alone changed stays there. Default source_wins.
             * @enum {string}
             */
            conflict_strategy?: "source_wins" | "target_wins" | "newer_wins" | "merge" | "manual" | "webhook";
            /** @description The column of the target, a time or a version, by which newer_wins tells which row is newer. */
            newer_by?: string;
            /**
             * @description Whose row is taken by newer_wins where both are as new. Default source.
             * @enum {string}
             */
            tie_break?: "source" | "target";
            /**
             * @description For conflict_strategy webhook: where both rows are posted to, signed. Whoever may see the sync config sees it.
             * @example https://rules.example.com/conflicts
             */
            webhook_url?: string;
            /** @description Hours in which the webhook is asked again and may answer; then somebody has to decide. Default 24. */
            webhook_timeout_hours?: number;
            /**
             * @description What becomes of rows that the source no longer has. Default ignore.
             * @enum {string}
             */
            delete_policy?: "ignore" | "delete";
            /**
             * @description Which rows may be deleted: those that this sync wrote, or all. Default owned.
             * @enum {string}
             */
            delete_scope?: "owned" | "mirror";
            /** @description The brake: percent of a table that a run may delete without being asked. Default 10. */
            max_delete_percent?: number;
            /** @description Percent of a table that a run may overwrite without being asked; 10 on first contact where not set. */
            max_overwrite_percent?: number;
            /**
             * @description What the target remembers of each row: what the policies need (auto), fingerprints, the values that both sides had last as well (images: they are shown with a conflict, and a sum needs them), or nothing where no policy needs it (none). Default auto.
             * @enum {string}
             */
            baseline?: "auto" | "fingerprints" | "images" | "none";
            /**
             * @description When changes reach the target: batch by batch as they go (streaming), all in one transaction once nothing is left to decide (staged), or that once somebody has approved them (approval). Default streaming.
             * @enum {string}
             */
            commit_mode?: "streaming" | "staged" | "approval";
            /**
             * @description Where changes are kept that are not committed as they go: by ourselves, or in the Redis of the settings. Default embedded.
             * @enum {string}
             */
            staging?: "embedded" | "redis";
            /** @description Hours that changes wait for an approval or a decision; then the job fails, and nothing of them is written. Default 72. */
            approval_hours?: number;
            /**
             * @description What is kept of a run: nothing, what it came to, each change by operation and key (standard), or each row before and after as well (detailed), which undoing needs. Default standard.
             * @enum {string}
             */
            audit_level?: "none" | "summary" | "standard" | "detailed";
            /**
             * @description What becomes of what the target lacks: the run stops with the difference (strict), columns are added that the source has (add_columns), and missing tables are made as well (create). Fields that are mapped one by one add nothing. Default add_columns.
             * @enum {string}
             */
            schema_policy?: "strict" | "add_columns" | "create";
            /**
             * @description What a row does that the target refuses: it is set aside, or stops the run. Default quarantine.
             * @enum {string}
             */
            on_reject?: "quarantine" | "stop";
            /** @description Rows that may be set aside before the run stops. Default 1000. */
            max_rejections?: number;
            /**
             * @description What becomes of dates and times of MySQL and MariaDB whose year, month or day is zero: their row is set aside (reject), they are carried as they are, where the target is MySQL or MariaDB (keep), or NULL ("null") or a day, such as 1970-01-01, stands in their place. Default reject.
             * @example null
             * @example 1970-01-01
             */
            zero_dates?: string;
            /** @description Rows in a write batch. Default 1000. */
            batch_size?: number;
            /** @description Tables under way at once. Default 1. */
            max_parallel_tables?: number;
            /** @description Pieces of one table under way at once. Default 5. */
            max_parallel_operations?: number;
            /**
             * @description How the result is proved. Default auto.
             * @enum {string}
             */
            verify_after?: "auto" | "full" | "changed" | "off";
            id: string;
            version: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            updated_at: string;
        };
        SyncConfigPage: {
            items: components["schemas"]["SyncConfig"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        DocumentChange: {
            /** @description A JSON pointer into the document. */
            path: string;
            /** @description null where there was nothing. */
            before: unknown;
            /** @description null where there is nothing any more. */
            after: unknown;
        };
        ConfigVersion: {
            version: number;
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            changed_at: string;
            changed_by: string;
            /** @description The whole document as it was. */
            document: unknown;
            /** @description What is different from the version before. */
            changes: components["schemas"]["DocumentChange"][];
        };
        ConfigVersionPage: {
            items: components["schemas"]["ConfigVersion"][];
            /** @description Where the next page begins; null at the end. */
            next_cursor: string | null;
        };
        WebhookSecretRequest: {
            /** @description How long the secret before signs as well, so that the receiver can be given the new one. Default 24. */
            keep_previous_hours?: number;
        };
        WebhookSecret: {
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            created_by: string;
            /** @description Until when the secret before signs as well; null: none does. */
            previous_until: string | null;
        };
        NewWebhookSecret: {
            /**
             * Format: date-time
             * @description ISO 8601, UTC.
             */
            created_at: string;
            created_by: string;
            /** @description Until when the secret before signs as well; null: none does. */
            previous_until: string | null;
            /** @description whsec_ and base64: the key of the HMAC by which messages are signed (Standard Webhooks). Shown this once. */
            secret: string;
        };
        TransformArgument: {
            name: string;
            description: string;
            required: boolean;
            /** @description JSON Schema of its value. */
            schema: {
                [key: string]: unknown;
            };
        };
        Transform: {
            name: string;
            group: string;
            summary: string;
            /**
             * @description one value, or many columns: then it stands first in its chain.
             * @enum {string}
             */
            takes: "one" | "many";
            /** @description The types that it takes, in words. */
            accepts: string;
            /** @description What NULL becomes; null where it stays NULL. */
            nulls: string | null;
            arguments: components["schemas"]["TransformArgument"][];
            example: {
                arguments: {
                    [key: string]: unknown;
                };
                input: (string | null)[];
                /** @description A ? stands for what depends on the mask key. */
                output: string | null;
                type: string | null;
                /** @description What is lost for good; null where nothing is. */
                loses: string | null;
            };
        };
        Transforms: {
            items: components["schemas"]["Transform"][];
        };
        Rule: {
            name: string;
            description: string;
            note: string;
            /** @description JSON Schema of its value. */
            schema: {
                [key: string]: unknown;
            };
            /** @description What may stand beside the name. */
            example: unknown;
        };
        Rules: {
            items: components["schemas"]["Rule"][];
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: never;
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    postSetup: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SetupRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewApiKey"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getKeys: {
        parameters: {
            query?: {
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKeyPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postKeys: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ApiKeyRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewApiKey"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteKeysId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of an api key. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ApiKey"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WhoAmI"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SignInRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WhoAmI"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteSession: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSessions: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteSessionsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a session. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDatasources: {
        parameters: {
            query?: {
                /** @description A part of the name, in any case. */
                search?: string;
                kind?: "postgres" | "supabase" | "neon" | "mysql";
                writable?: "true" | "false";
                /** @description The order; with a dash before it downwards. Default name. */
                sort?: "name" | "-name" | "created_at" | "-created_at";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DatasourcePage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDatasources: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DatasourceRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Datasource"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDatabases: {
        parameters: {
            query?: {
                /** @description A part of the name, in any case. */
                search?: string;
                kind?: "postgres" | "supabase" | "neon" | "mysql";
                writable?: "true" | "false";
                /** @description The order; with a dash before it downwards. Default name. */
                sort?: "name" | "-name" | "created_at" | "-created_at";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DatasourcePage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDatasourcesId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Datasource"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putDatasourcesId: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag that the change is based on; where it is not that any more, 412. */
                "if-match"?: string;
            };
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DatasourceRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Datasource"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteDatasourcesId: {
        parameters: {
            query?: {
                /** @description The name of what this is done to, typed out: it cannot be taken back. */
                confirm?: string;
            };
            header?: {
                /** @description The ETag that the change is based on; where it is not that any more, 412. */
                "if-match"?: string;
            };
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDatasourcesIdTest: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConnectionTest"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDatabasesTest: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DatabaseTestRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConnectionTest"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDatasourcesParseUrl: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ParseUrlRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ParsedUrl"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDatasourcesIdConfirmServer: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ConfirmServerRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Datasource"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDatasourcesIdSchema: {
        parameters: {
            query?: {
                /** @description A part of the name of schema or table. */
                search?: string;
                /** @description Only these schemas, with commas between, those of the provider included. */
                schemas?: string;
                /** @description Read the catalogue anew. */
                refresh?: "true" | "false";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SchemaAnswer"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDatasourcesIdPreview: {
        parameters: {
            query: {
                /**
                 * @description schema.table, or table for one in public.
                 * @example orders
                 */
                table: string;
                /** @description Rows: 1 to 100, default 20. */
                limit?: string;
            };
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RowsPreview"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSchedulesPreview: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SchedulePreviewRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SchedulePreview"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigsIdSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScheduleState"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdSchedulePause: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScheduleState"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdScheduleResume: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScheduleState"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putSyncConfigsIdScheduleConsent: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ScheduleConsentRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScheduleState"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getExportSchedules: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ExportScheduleList"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDatasourcesIdExportSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ExportSchedule"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putDatasourcesIdExportSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ExportScheduleRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ExportSchedule"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteDatasourcesIdExportSchedule: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeletedExportSchedule"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDatasourcesIdExportSchedulePause: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ExportSchedule"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDatasourcesIdExportScheduleResume: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ExportSchedule"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigs: {
        parameters: {
            query?: {
                /** @description A part of the name, in any case. */
                search?: string;
                /** @description Only configs that read or write this datasource. */
                datasource?: string;
                /** @description The order; with a dash before it downwards. Default name. */
                sort?: "name" | "-name" | "created_at" | "-created_at";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncConfigPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigs: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CheckedSyncConfig"];
            };
        };
        responses: {
            /** @description Default Response */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncConfig"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncConfig"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putSyncConfigsId: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag that the change is based on; where it is not that any more, 412. */
                "if-match"?: string;
            };
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CheckedSyncConfig"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SyncConfig"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteSyncConfigsId: {
        parameters: {
            query?: {
                /** @description The name of what this is done to, typed out: it cannot be taken back. */
                confirm?: string;
            };
            header?: {
                /** @description The ETag that the change is based on; where it is not that any more, 412. */
                "if-match"?: string;
            };
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigsIdVersions: {
        parameters: {
            query?: {
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConfigVersionPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdValidate: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ValidateRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigsIdSchemaDrift: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SchemaDrift"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdSchemaDriftLook: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SchemaDrift"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdSchemaDriftAccept: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AcceptDriftRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SchemaDrift"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigsIdWebhookSecret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WebhookSecret"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdWebhookSecret: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WebhookSecretRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["NewWebhookSecret"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdSuggest: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SuggestRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MappingSuggestions"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsSuggest: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SuggestDraftRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MappingSuggestions"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdAdvise: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AdviseRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DetectionAdvice"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDatasourcesIdAdvise: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a datasource. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AdviseRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DetectionAdvice"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdPreview: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MappingQuestion"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MappingPreview"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsPreview: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MappingPreviewDraft"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MappingPreview"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsValidate: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ValidateDraftRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TableValidation"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigsIdMatch: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["MatchQuestion"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["MatchPreview"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigId: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id or the name of a sync config. */
                configId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RunRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncFull: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RunAnyRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncIncremental: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RunAnyRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncValidateJobIdTable: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a job. */
                jobId: string;
                /**
                 * @description schema.table, or table for one in public.
                 * @example orders
                 */
                table: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["TableValidation"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncJobIdStatus: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncStatusJobId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncStopJobId: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncResumeJobId: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobs: {
        parameters: {
            query?: {
                status?: string;
                kind?: "sync" | "verify" | "validate" | "revert" | "export" | "import" | "copy" | "drill";
                config_id?: string;
                /** @description Only jobs that read or write this datasource. */
                datasource?: string;
                /** @description Only what began at this time or later: 2026-01-31 or 2026-01-31T12:00:00Z. */
                since?: string;
                /** @description Only what began before this time. */
                until?: string;
                /** @description The order; with a dash before it downwards. Default -created_at. */
                sort?: "created_at" | "-created_at";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobsIdReceipt: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Receipt"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobsIdLog: {
        parameters: {
            query?: {
                /** @description Only what happened after the event of this number; a cursor goes before it. */
                after?: string;
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobLogPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postJobsIdStop: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postJobsIdResume: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postJobsIdCancel: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postJobsIdRetry: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RetryRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobsIdChanges: {
        parameters: {
            query?: {
                /**
                 * @description Only changes of this table of the target.
                 * @example orders
                 */
                table?: string;
                /** @example insert,delete */
                op?: string;
                /** @description Only updates that change this column. */
                column?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
                /** @example planned,again */
                mark?: string;
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangePage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobsIdChangesDownload: {
        parameters: {
            query?: {
                /** @description Default json. csv has a line per cell, and an apostrophe before what a spreadsheet would take for a formula. sql makes the changes that are to be applied, unless mark asks for others. */
                format?: "json" | "csv" | "sql";
                /**
                 * @description Only changes of this table of the target.
                 * @example orders
                 */
                table?: string;
                /** @example insert,delete */
                op?: string;
                /** @description Only updates that change this column. */
                column?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
                /** @example planned,again */
                mark?: string;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. One that breaks off has no end: the connection is cut. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                    "text/csv": string;
                    "application/sql": string;
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postJobsIdChangesDecide: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ChangeDecision"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ChangesDecided"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postJobsIdApprove: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ApproveRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postJobsIdRevert: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RevertRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobsIdRejections: {
        parameters: {
            query?: {
                /** @description The table of the target: schema.name. */
                table?: string;
                status?: string;
                column?: string;
                code?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RejectionPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigsIdRejections: {
        parameters: {
            query?: {
                /** @description The table of the target: schema.name. */
                table?: string;
                status?: string;
                column?: string;
                code?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RejectionPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getRejectionsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a rejection. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Rejection"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putRejectionsId: {
        parameters: {
            query?: never;
            header?: {
                /** @description The ETag that the change is based on; where it is not that any more, 412. */
                "if-match"?: string;
            };
            path: {
                /** @description The id of a rejection. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RejectionEdit"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Rejection"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postRejectionsIdDismiss: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a rejection. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Rejection"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postJobsIdRejectionsReplay: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ReplayRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postRejectionsIdReplay: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a rejection. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ConsentRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getConflicts: {
        parameters: {
            query?: {
                status?: string;
                kind?: string;
                strategy?: string;
                /** @description Only those that this job saw first or last. */
                job?: string;
                /** @description Only those of which both sides changed these very columns, as groups has them: a JSON list; []: about the whole row. */
                fields?: string;
                /**
                 * @description The table of the target.
                 * @example orders
                 */
                table?: string;
                /** @description A column that both sides changed. */
                field?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
                /** @description The order; with a dash before it downwards. Default seq. */
                sort?: "seq" | "-seq";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
                /** @description Only those of this sync config. */
                config?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConflictPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigIdConflicts: {
        parameters: {
            query?: {
                status?: string;
                kind?: string;
                strategy?: string;
                /** @description Only those that this job saw first or last. */
                job?: string;
                /** @description Only those of which both sides changed these very columns, as groups has them: a JSON list; []: about the whole row. */
                fields?: string;
                /**
                 * @description The table of the target.
                 * @example orders
                 */
                table?: string;
                /** @description A column that both sides changed. */
                field?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
                /** @description The order; with a dash before it downwards. Default seq. */
                sort?: "seq" | "-seq";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                configId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConflictPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConflictsJobId: {
        parameters: {
            query?: {
                status?: string;
                kind?: string;
                strategy?: string;
                /** @description Only those of which both sides changed these very columns, as groups has them: a JSON list; []: about the whole row. */
                fields?: string;
                /**
                 * @description The table of the target.
                 * @example orders
                 */
                table?: string;
                /** @description A column that both sides changed. */
                field?: string;
                /** @description The key of the row; of several columns a JSON list of texts. */
                key?: string;
                /** @description The order; with a dash before it downwards. Default seq. */
                sort?: "seq" | "-seq";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConflictPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getConflictsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a conflict. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Conflict"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigIdResolveConflictId: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
                /** @description The ETag that the change is based on; where it is not that any more, 412. */
                "if-match"?: string;
            };
            path: {
                /** @description The id or the name of a sync config. */
                configId: string;
                /** @description The id of a conflict. */
                conflictId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ResolveRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ResolvedConflict"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConflictsJobIdConflictIdResolve: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
                /** @description The ETag that the change is based on; where it is not that any more, 412. */
                "if-match"?: string;
            };
            path: {
                /** @description The id of a job. */
                jobId: string;
                /** @description The id of a conflict. */
                conflictId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ResolveRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ResolvedConflict"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigIdResolve: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id or the name of a sync config. */
                configId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ResolveManyRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ResolvedConflicts"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConflictsJobIdResolveAll: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ResolveAllRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ResolvedConflicts"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConfigIdCarryOut: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id or the name of a sync config. */
                configId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CarryOutRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CarriedOut"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncConflictsJobIdCarryOut: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CarryOutJobRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["CarriedOut"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postConflictsIdWithdraw: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
                /** @description The ETag that the change is based on; where it is not that any more, 412. */
                "if-match"?: string;
            };
            path: {
                /** @description The id of a conflict. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Conflict"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncConfigsIdConflictRules: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConflictRules"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteSyncConfigsIdConflictRulesRuleId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id or the name of a sync config. */
                id: string;
                /** @description The id of a conflict rule. */
                ruleId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobsIdHistory: {
        parameters: {
            query?: {
                /**
                 * @description The table of the target: schema.name.
                 * @example orders
                 */
                table?: string;
                op?: "insert" | "update" | "delete";
                /** @description The key of a row; of several columns a JSON list of texts. */
                key?: string;
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
                /** @description In the order in which they were written, or (-seq) the newest first. Default seq. */
                sort?: "seq" | "-seq";
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WrittenChangePage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getHistory: {
        parameters: {
            query: {
                /** @description The id or the name of a sync config. Either this or datasource. */
                config?: string;
                /** @description The id or the name of a target, for what all configs wrote there. Either this or config. */
                datasource?: string;
                /**
                 * @description The table of the target: schema.name.
                 * @example orders
                 */
                table: string;
                /** @description The key of a row; of several columns a JSON list of texts. */
                key: string;
                /** @description Entries in a page: 1 to 100, default 20. */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["KeyHistory"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getAudit: {
        parameters: {
            query?: {
                /** @description An action such as job.start, or all of one noun: job. */
                action?: string;
                /** @description The id or the name of who did it. */
                actor?: string;
                /** @description The id of what it was done to. */
                subject?: string;
                /** @description The id of a job: its events, and those of rows that it set aside. */
                job?: string;
                /** @description The id or the name of a sync config: its events, and those of its jobs. */
                config?: string;
                /** @description The id or the name of a datasource: its events, and those of its configs and jobs. */
                datasource?: string;
                /** @description A part of the action, the subject or the name of who did it, in any case. */
                search?: string;
                /** @description Only what began at this time or later: 2026-01-31 or 2026-01-31T12:00:00Z. */
                since?: string;
                /** @description Only what began before this time. */
                until?: string;
                /** @description The order; with a dash before it downwards. Default -seq. */
                sort?: "seq" | "-seq";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getAuditEvents: {
        parameters: {
            query?: {
                /** @description An action such as job.start, or all of one noun: job. */
                action?: string;
                /** @description The id or the name of who did it. */
                actor?: string;
                /** @description The id of what it was done to. */
                subject?: string;
                /** @description The id of a job: its events, and those of rows that it set aside. */
                job?: string;
                /** @description The id or the name of a sync config: its events, and those of its jobs. */
                config?: string;
                /** @description The id or the name of a datasource: its events, and those of its configs and jobs. */
                datasource?: string;
                /** @description A part of the action, the subject or the name of who did it, in any case. */
                search?: string;
                /** @description Only what began at this time or later: 2026-01-31 or 2026-01-31T12:00:00Z. */
                since?: string;
                /** @description Only what began before this time. */
                until?: string;
                /** @description The order; with a dash before it downwards. Default -seq. */
                sort?: "seq" | "-seq";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getAuditStats: {
        parameters: {
            query?: {
                /** @description An action such as job.start, or all of one noun: job. */
                action?: string;
                /** @description The id or the name of who did it. */
                actor?: string;
                /** @description The id of what it was done to. */
                subject?: string;
                /** @description The id of a job: its events, and those of rows that it set aside. */
                job?: string;
                /** @description The id or the name of a sync config: its events, and those of its jobs. */
                config?: string;
                /** @description The id or the name of a datasource: its events, and those of its configs and jobs. */
                datasource?: string;
                /** @description A part of the action, the subject or the name of who did it, in any case. */
                search?: string;
                /** @description Only what began at this time or later: 2026-01-31 or 2026-01-31T12:00:00Z. */
                since?: string;
                /** @description Only what began before this time. */
                until?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditStats"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getAuditVerify: {
        parameters: {
            query?: {
                /** @description head of an earlier check: that event must still be there. */
                noted?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AuditCheck"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncAuditJobId: {
        parameters: {
            query?: {
                /**
                 * @description The table of the target: schema.name.
                 * @example orders
                 */
                table?: string;
                op?: "insert" | "update" | "delete";
                /** @description The key of a row; of several columns a JSON list of texts. */
                key?: string;
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobAudit"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSyncAuditJobIdReport: {
        parameters: {
            query?: {
                /** @description Default json. */
                format?: "json" | "csv" | "html";
            };
            header?: never;
            path: {
                /** @description The id of a job. */
                jobId: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The report. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": unknown;
                    "text/csv": unknown;
                    "text/html": unknown;
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncExport: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ExportRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncImport: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ImportRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSyncCopy: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["CopyRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDumpsIdDrill: {
        parameters: {
            query?: never;
            header?: {
                /** @description The same key with the same request gives the same answer for 24 hours, and does it once. */
                "idempotency-key"?: string;
            };
            path: {
                /** @description The id of a dump. */
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["DrillRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StartedJob"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDumps: {
        parameters: {
            query?: {
                origin?: "export" | "backup" | "upload";
                /** @description Only dumps of this datasource. */
                datasource?: string;
                job_id?: string;
                /** @description Only dumps whose file has this in its name, which is made of database, time and content. */
                search?: string;
                /** @description The order; with a dash before it downwards. Default -created_at. */
                sort?: "created_at" | "-created_at" | "file" | "-file";
                /**
                 * @description Entries in a page: 1 to 1000, default 100.
                 * @example 100
                 */
                limit?: string;
                /** @description next_cursor of the page before; without it the first page. */
                cursor?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DumpPage"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDumps: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Dump"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDumpsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a dump. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Dump"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteDumpsId: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a dump. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DeletedDump"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDumpsIdFile: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                /** @description The id of a dump. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The file. One that breaks off has fewer bytes than Content-Length says. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/octet-stream": string;
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getJobsIdEvents: {
        parameters: {
            query?: {
                /** @description The number of the last event that is known; Last-Event-ID says the same. */
                after?: string;
            };
            header?: {
                "last-event-id"?: string;
            };
            path: {
                /** @description The id of a job. */
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description The events. */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "text/event-stream": string;
                };
            };
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getWs: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            101: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSettingsRedis: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RedisSettings"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putSettingsRedis: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RedisRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RedisSettings"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteSettingsRedis: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSettingsRedisTest: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RedisTestRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConnectionTest"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSettingsRetention: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RetentionSettings"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putSettingsRetention: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["RetentionRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RetentionSettings"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getSettingsAi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AiSettings"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putSettingsAi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AiRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["AiSettings"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteSettingsAi: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postSettingsAiTest: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AiTestRequest"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ConnectionTest"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getDemo: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DemoData"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    putDemo: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DemoData"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    deleteDemo: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            204: {
                headers: {
                    [name: string]: unknown;
                };
                content?: never;
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    postDemoEdits: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["NoFields"];
            };
        };
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["DemoEdits"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getTransforms: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Transforms"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getRules: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Rules"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getHealth: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Health"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getHealthDb: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StoreHealth"];
                };
            };
            /** @description Default Response */
            503: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["StoreHealth"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getStatus: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Status"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
    getOverview: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Default Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Overview"];
                };
            };
            /** @description What went wrong. */
            "4XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
            /** @description What went wrong. */
            "5XX": {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/problem+json": components["schemas"]["Problem"];
                };
            };
        };
    };
}
