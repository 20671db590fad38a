// Made from openapi.json by scripts/generate.mjs; change neither by hand.

export interface paths {
    "/v1/consolidate": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Consolidate
         * @description Queue a scope: attached systems observe what they have not seen and do their offline work. Answers with the job.
         */
        post: operations["consolidate_v1_consolidate_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/context": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Context
         * @description What answers a query, as a block of text for a prompt: dated, attributed, cited, within a budget of tokens.
         */
        post: operations["context_v1_context_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/episodes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * List
         * @description Episodes in the order of the log, a page at a time.
         */
        get: operations["list__v1_episodes_get"];
        put?: never;
        /**
         * Add
         * @description Remember a string, a message or a list of messages; all or nothing, and durably once this answers.
         */
        post: operations["add_v1_episodes_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/episodes/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Get
         * @description One episode.
         */
        get: operations["get_v1_episodes__id__get"];
        put?: never;
        post?: never;
        /**
         * Delete
         * @description Forget one memory: every version of it, and all that came from it.
         */
        delete: operations["delete_v1_episodes__id__delete"];
        options?: never;
        head?: never;
        /**
         * Update
         * @description Correct an episode: a new one supersedes it. 409 when somebody else has corrected it since.
         *
         *     A key that may not read must send the text anew, and is told nothing of what stood there.
         */
        patch: operations["update_v1_episodes__id__patch"];
        trace?: never;
    };
    "/v1/export": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Export
         * @description A scope, and those below it, as JSON Lines: a header, then one episode a line.
         */
        get: operations["export_v1_export_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/find": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Find
         * @description The episodes of an id in a scope and those below it.
         */
        get: operations["find_v1_find_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/forget": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Forget
         * @description Forget for good: by id, session, filters, time, or everything; `dry_run` says what would go.
         */
        post: operations["forget_v1_forget_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/history": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * History
         * @description Every text that a memory had, oldest first, from any of its ids.
         */
        get: operations["history_v1_history_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/import": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Import
         * @description Read a past from the request's body, a file of any known format, into a scope. Importing it again changes nothing.
         */
        post: operations["import__v1_import_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Jobs
         * @description Jobs of the scopes that the key may read, newest first.
         */
        get: operations["jobs_v1_jobs_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Job
         * @description One job: its state, progress, and error.
         */
        get: operations["job_v1_jobs__id__get"];
        put?: never;
        post?: never;
        /**
         * Cancel
         * @description Cancel a job that waits, or stop one that runs after the scope it is at.
         */
        delete: operations["cancel_v1_jobs__id__delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/jobs/{id}/retry": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Retry
         * @description Try a job again that failed or was cancelled.
         */
        post: operations["retry_v1_jobs__id__retry_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/links": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Links
         * @description Edges that systems made between records or episodes of a scope.
         */
        get: operations["links_v1_links_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/me": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Me
         * @description Who the key is, and what it may.
         */
        get: operations["me_v1_me_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/records": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Records
         * @description What systems made of a scope's episodes, oldest first. Pages are of one system: without it, all comes at once.
         */
        get: operations["records_v1_records_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/scopes": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Scopes
         * @description Scopes that hold anything and that the key may read, with their number of episodes, tenant by tenant.
         *
         *     A tenant that cannot be read now does not stop the others; it stands under `problems`.
         */
        get: operations["scopes_v1_scopes_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/search": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Search
         * @description The memories that answer a query, best first, each with its score in [0, 1], its reasons and its sources.
         */
        post: operations["search_v1_search_post"];
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/sessions": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Sessions
         * @description The sessions of a scope by when they began in the log, or the latest first.
         */
        get: operations["sessions_v1_sessions_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/stats": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Stats
         * @description What a scope holds.
         */
        get: operations["stats_v1_stats_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/systems": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        /**
         * Systems
         * @description All systems; those attached to the scope's tenant keep records of its log.
         */
        get: operations["systems_v1_systems_get"];
        put?: never;
        post?: never;
        delete?: never;
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/systems/{id}": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        /**
         * Attach
         * @description Let a system observe the log of the scope's tenant from its beginning, and go on. Needs admin on the tenant.
         */
        put: operations["attach_v1_systems__id__put"];
        post?: never;
        /**
         * Detach
         * @description Drop a system and everything it made for the scope's tenant; the log is not touched. Needs admin on the tenant.
         */
        delete: operations["detach_v1_systems__id__delete"];
        options?: never;
        head?: never;
        patch?: never;
        trace?: never;
    };
    "/v1/why-not": {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        get?: never;
        put?: never;
        /**
         * Why Not
         * @description Why a search did not recall an episode: what kept it out, and what would bring it in.
         */
        post: operations["why_not_v1_why_not_post"];
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
        /**
         * AddIn
         * @description What to remember.
         */
        AddIn: {
            /** Actor */
            actor?: string | null;
            /** Agent Id */
            agent_id?: string | null;
            /** App Id */
            app_id?: string | null;
            /**
             * Id
             * @description of the only message: makes a retry harmless
             */
            id?: string | null;
            /**
             * Infer
             * @description accepted for familiarity; nothing is inferred
             * @default false
             */
            infer?: boolean;
            /** Messages */
            messages: string | components["schemas"]["Message"] | (string | components["schemas"]["Message"])[];
            /** Metadata */
            metadata?: {
                [key: string]: unknown;
            } | null;
            /** Occurred At */
            occurred_at?: (string | number) | null;
            /** Role */
            role?: string | null;
            /** Run Id */
            run_id?: string | null;
            /**
             * Scope
             * @description a path such as acme/alice; its first segment is the tenant
             * @default
             */
            scope?: string;
            /** Session */
            session?: string | null;
            /**
             * Timestamp
             * @description another name for occurred_at
             */
            timestamp?: (string | number) | null;
            /** User Id */
            user_id?: string | null;
        };
        /**
         * Added
         * @description What an add did.
         */
        Added: {
            /** Episodes */
            episodes: components["schemas"]["Episode"][];
            /** Is New */
            is_new: boolean[];
            /** Results */
            results: components["schemas"]["AddedOne"][];
        };
        /**
         * AddedOne
         * @description One added memory, in the shape that users of other libraries know.
         */
        AddedOne: {
            /**
             * Event
             * @enum {string}
             */
            event: "ADD" | "NONE";
            /** Id */
            id: string;
            /** Memory */
            memory: string;
            /**
             * Origin
             * @enum {string}
             */
            origin: "observed" | "echo";
        };
        /**
         * AttachIn
         * @description Parameters of a system; its paper's defaults for the rest.
         */
        AttachIn: {
            /**
             * Llm
             * @description none: the offline path, also where the server has a model
             */
            llm?: "none" | null;
            /** Parameters */
            parameters?: {
                [key: string]: unknown;
            };
        };
        /**
         * Citation
         * @description Which memory a mark in a context block stands for.
         */
        Citation: {
            /** Id */
            id: string;
            /** Mark */
            mark: string;
            /** Sources */
            sources: string[];
        };
        /**
         * ConsolidateIn
         * @description What to consolidate.
         */
        ConsolidateIn: {
            /**
             * Include Children
             * @description the scopes below, too
             * @default true
             */
            include_children?: boolean;
            /**
             * Retry Failed
             * @description ask models again what they answered in no usable form
             * @default false
             */
            retry_failed?: boolean;
            /**
             * Scope
             * @default
             */
            scope?: string;
        };
        /**
         * Context
         * @description A block of text for a prompt.
         */
        Context: {
            /** Citations */
            citations: components["schemas"]["Citation"][];
            recall: components["schemas"]["Recall"];
            /** Text */
            text: string;
            /** Tokens */
            tokens: number;
        };
        /**
         * ContextIn
         * @description A request for a block of text for a prompt.
         */
        ContextIn: {
            /** Agent Id */
            agent_id?: string | null;
            /** App Id */
            app_id?: string | null;
            /**
             * As Of
             * @description only what was recorded by then
             */
            as_of?: (string | number) | null;
            /**
             * Asked At
             * @description what "yesterday" in the query is relative to
             */
            asked_at?: (string | number) | null;
            /**
             * Budget Tokens
             * @default 1000
             */
            budget_tokens?: number;
            /** Filters */
            filters?: {
                [key: string]: unknown;
            } | null;
            /**
             * Include Children
             * @default false
             */
            include_children?: boolean;
            /**
             * Limit
             * @default 60
             */
            limit?: number;
            /**
             * Max Tokens
             * @description another name for budget_tokens
             */
            max_tokens?: number | null;
            /** Query */
            query: string;
            /** Run Id */
            run_id?: string | null;
            /**
             * Scope
             * @description a path such as acme/alice; its first segment is the tenant
             * @default
             */
            scope?: string;
            /** Session */
            session?: string | null;
            /** Since */
            since?: (string | number) | null;
            /**
             * System
             * @description which system answers; see /v1/systems
             */
            system?: string | null;
            /**
             * Threshold
             * @default 0
             */
            threshold?: number;
            /**
             * Top K
             * @description another name for limit
             */
            top_k?: number | null;
            /** Until */
            until?: (string | number) | null;
            /** User Id */
            user_id?: string | null;
        };
        /**
         * Cue
         * @description The request as it was understood.
         */
        Cue: {
            /** As Of */
            as_of?: string | null;
            /** Asked At */
            asked_at: string;
            /** Filters */
            filters?: {
                [key: string]: unknown;
            } | null;
            /** Include Children */
            include_children: boolean;
            /** Limit */
            limit: number;
            /** Scope */
            scope: string;
            /** Session */
            session?: string | null;
            /** Since */
            since?: string | null;
            /** Text */
            text: string;
            /** Threshold */
            threshold: number;
            /** Until */
            until?: string | null;
        };
        /**
         * Episode
         * @description One thing that happened.
         */
        Episode: {
            /** Actor */
            actor?: string | null;
            /**
             * Echo Of
             * @default []
             */
            echo_of?: string[];
            /** Id */
            id: string;
            /**
             * Metadata
             * @default {}
             */
            metadata?: {
                [key: string]: unknown;
            };
            /** Occurred At */
            occurred_at: string;
            /**
             * Origin
             * @default observed
             * @enum {string}
             */
            origin?: "observed" | "echo";
            /**
             * Parts
             * @default []
             */
            parts?: {
                [key: string]: unknown;
            }[];
            /** Recorded At */
            recorded_at: string;
            /** Role */
            role: string;
            /** Scope */
            scope: string;
            /** Seq */
            seq: number;
            /** Session */
            session?: string | null;
            /** Supersedes */
            supersedes?: string | null;
            /** Text */
            text: string;
        };
        /**
         * EpisodeList
         * @description Episodes.
         */
        EpisodeList: {
            /** Episodes */
            episodes: components["schemas"]["Episode"][];
        };
        /**
         * EpisodePage
         * @description Episodes in the order of the log.
         */
        EpisodePage: {
            /** Episodes */
            episodes: components["schemas"]["Episode"][];
            /** Next Cursor */
            next_cursor: string | null;
        };
        /**
         * ForgetIn
         * @description What to forget; everything that is given must hold.
         */
        ForgetIn: {
            /** Agent Id */
            agent_id?: string | null;
            /** App Id */
            app_id?: string | null;
            /**
             * Dry Run
             * @description say what would go, and change nothing
             * @default false
             */
            dry_run?: boolean;
            /**
             * Everything
             * @default false
             */
            everything?: boolean;
            /** Filters */
            filters?: {
                [key: string]: unknown;
            } | null;
            /** Id */
            id?: string | string[] | null;
            /**
             * Include Children
             * @default false
             */
            include_children?: boolean;
            /** Run Id */
            run_id?: string | null;
            /**
             * Scope
             * @description a path such as acme/alice; its first segment is the tenant
             * @default
             */
            scope?: string;
            /** Session */
            session?: string | null;
            /** Since */
            since?: (string | number) | null;
            /** Until */
            until?: (string | number) | null;
            /** User Id */
            user_id?: string | null;
        };
        /**
         * History
         * @description Every text that a memory had, oldest first.
         */
        History: {
            /** Versions */
            versions: components["schemas"]["Version"][];
        };
        /**
         * Hit
         * @description One recalled memory, with why.
         */
        Hit: {
            /** Duplicates */
            duplicates: string[];
            episode?: components["schemas"]["Episode"] | null;
            /** Id */
            id: string;
            /** Kind */
            kind: string;
            /** Occurred At */
            occurred_at: string;
            /** Reasons */
            reasons: components["schemas"]["Reason"][];
            record?: components["schemas"]["Record"] | null;
            /** Scope */
            scope: string;
            /** Score */
            score: number;
            /** Sources */
            sources: string[];
            /** Text */
            text: string;
        };
        /**
         * ImportProblem
         * @description Something that could not be read.
         */
        ImportProblem: {
            /**
             * Excerpt
             * @default
             */
            excerpt?: string;
            /** Location */
            location: string;
            /** Reason */
            reason: string;
        };
        /**
         * Imported
         * @description What an import did.
         */
        Imported: {
            /** Added */
            added: number;
            /** Problems */
            problems: components["schemas"]["ImportProblem"][];
            /** Scopes */
            scopes: {
                [key: string]: number;
            };
            /** Skipped */
            skipped: number;
        };
        /**
         * Job
         * @description Work in the background.
         */
        Job: {
            /** Attempts */
            attempts: number;
            /** Created At */
            created_at: string;
            /** Error */
            error: string | null;
            /** Finished At */
            finished_at: string | null;
            /** Id */
            id: string;
            /** Kind */
            kind: string;
            /** Next Try At */
            next_try_at: string | null;
            /** Note */
            note: string;
            /** Progress */
            progress: number;
            /**
             * Result
             * @description what each system did: episodes observed, and the error that stopped it
             */
            result?: {
                [key: string]: {
                    [key: string]: number | string;
                };
            } | null;
            /** Scope */
            scope: string;
            /** Started At */
            started_at: string | null;
            /**
             * State
             * @enum {string}
             */
            state: "waiting" | "running" | "done" | "failed" | "cancelled";
        };
        /**
         * JobPage
         * @description Jobs, newest first.
         */
        JobPage: {
            /** Jobs */
            jobs: components["schemas"]["Job"][];
            /** Next Cursor */
            next_cursor: string | null;
        };
        /**
         * Lack
         * @description A signal beside the same of the last hit that was shown.
         */
        Lack: {
            /** Deficit */
            deficit: number;
            /** Last */
            last: number;
            /** Signal */
            signal: string;
            /** Value */
            value: number;
        };
        /**
         * Link
         * @description An edge between records or episodes.
         */
        Link: {
            /**
             * Data
             * @default {}
             */
            data?: {
                [key: string]: unknown;
            };
            /** From Id */
            from_id: string;
            /** Id */
            id: string;
            /** Kind */
            kind: string;
            /** Recorded At */
            recorded_at: string;
            /** Scope */
            scope: string;
            /** Sources */
            sources: string[];
            /** System */
            system: string;
            /** To Id */
            to_id: string;
            /** Weight */
            weight: number;
        };
        /**
         * LinkList
         * @description Links.
         */
        LinkList: {
            /** Links */
            links: components["schemas"]["Link"][];
        };
        /**
         * Me
         * @description Who the key is, and what it may.
         */
        Me: {
            /** Key Id */
            key_id: string;
            /** Name */
            name: string;
            /** Scopes */
            scopes: string[];
            /** Verbs */
            verbs: string[];
        };
        /**
         * Message
         * @description One message, as chat APIs have it; what else it holds is kept as it came.
         */
        Message: {
            /** Content */
            content?: string | unknown[] | null;
            /** Id */
            id?: string | null;
            /** Metadata */
            metadata?: {
                [key: string]: unknown;
            } | null;
            /** Name */
            name?: string | null;
            /** Role */
            role?: string | null;
            /** Session */
            session?: string | null;
            /** Timestamp */
            timestamp?: (string | number) | null;
        } & {
            [key: string]: unknown;
        };
        /**
         * Obstacle
         * @description One thing that kept an episode out.
         */
        Obstacle: {
            /** Change */
            change: {
                [key: string]: unknown;
            };
            /** Kind */
            kind: string;
            /** Says */
            says: string;
        };
        /**
         * Reason
         * @description One signal's share in a score: value times weight.
         */
        Reason: {
            /** Note */
            note: string;
            /** Signal */
            signal: string;
            /** Value */
            value: number;
            /** Weight */
            weight: number;
        };
        /**
         * Recall
         * @description The answer to a cue.
         */
        Recall: {
            /**
             * Behind
             * @description episodes that the system has not observed yet
             * @default 0
             */
            behind?: number;
            /** Confidence */
            confidence: number | null;
            cue: components["schemas"]["Cue"];
            /** Elapsed Ms */
            elapsed_ms: number;
            /** Is Doubtful */
            is_doubtful: boolean;
            /** Path */
            path: string;
            /** Results */
            results: components["schemas"]["Hit"][];
            /** System */
            system: string;
        };
        /**
         * Receipt
         * @description What was forgotten: ids and numbers, nothing of the content.
         */
        Receipt: {
            /** Answers */
            answers: number;
            /** At */
            at: string;
            /** Episodes */
            episodes: number;
            /** Ids */
            ids: string[];
            /** Is Dry Run */
            is_dry_run: boolean;
            /** Is Scrubbed */
            is_scrubbed: boolean;
            /** Links */
            links: number;
            /** Message */
            message: string;
            /** Rebuilt Systems */
            rebuilt_systems: string[];
            /** Records */
            records: number;
            /** Scope */
            scope: string;
        };
        /**
         * Record
         * @description What a system made of episodes.
         */
        Record: {
            /**
             * Data
             * @default {}
             */
            data?: {
                [key: string]: unknown;
            };
            /** Id */
            id: string;
            /** Kind */
            kind: string;
            /** Recorded At */
            recorded_at: string;
            /** Retired At */
            retired_at?: string | null;
            /** Scope */
            scope: string;
            /** Sources */
            sources: string[];
            /** Strength */
            strength: number;
            /** System */
            system: string;
            /** Text */
            text: string;
            /** Valid From */
            valid_from?: string | null;
            /** Valid To */
            valid_to?: string | null;
        };
        /**
         * RecordPage
         * @description Records, oldest first.
         */
        RecordPage: {
            /** Next Cursor */
            next_cursor: string | null;
            /** Records */
            records: components["schemas"]["Record"][];
        };
        /**
         * ScopeCount
         * @description A scope and how many episodes it holds.
         */
        ScopeCount: {
            /** Episodes */
            episodes: number;
            /** Scope */
            scope: string;
        };
        /**
         * ScopePage
         * @description Scopes that hold anything.
         */
        ScopePage: {
            /** Next Cursor */
            next_cursor: string | null;
            /** Problems */
            problems: components["schemas"]["TenantProblem"][];
            /** Scopes */
            scopes: components["schemas"]["ScopeCount"][];
        };
        /**
         * SearchIn
         * @description A request for memories.
         */
        SearchIn: {
            /** Agent Id */
            agent_id?: string | null;
            /** App Id */
            app_id?: string | null;
            /**
             * As Of
             * @description only what was recorded by then
             */
            as_of?: (string | number) | null;
            /**
             * Asked At
             * @description what "yesterday" in the query is relative to
             */
            asked_at?: (string | number) | null;
            /** Filters */
            filters?: {
                [key: string]: unknown;
            } | null;
            /**
             * Include Children
             * @default false
             */
            include_children?: boolean;
            /**
             * Limit
             * @default 10
             */
            limit?: number;
            /** Query */
            query: string;
            /** Run Id */
            run_id?: string | null;
            /**
             * Scope
             * @description a path such as acme/alice; its first segment is the tenant
             * @default
             */
            scope?: string;
            /** Session */
            session?: string | null;
            /** Since */
            since?: (string | number) | null;
            /**
             * System
             * @description which system answers; see /v1/systems
             */
            system?: string | null;
            /**
             * Threshold
             * @default 0
             */
            threshold?: number;
            /**
             * Top K
             * @description another name for limit
             */
            top_k?: number | null;
            /** Until */
            until?: (string | number) | null;
            /** User Id */
            user_id?: string | null;
        };
        /**
         * Session
         * @description One conversation.
         */
        Session: {
            /** Began At */
            began_at: string;
            /** Ended At */
            ended_at: string;
            /** Episodes */
            episodes: number;
            /** First Seq */
            first_seq: number;
            /** Last Seq */
            last_seq: number;
            /** Scope */
            scope: string;
            /** Session */
            session: string;
        };
        /**
         * SessionPage
         * @description Sessions.
         */
        SessionPage: {
            /** Next Cursor */
            next_cursor: string | null;
            /** Sessions */
            sessions: components["schemas"]["Session"][];
        };
        /**
         * Spent
         * @description What a system asked a model, and what it cost.
         */
        Spent: {
            /** Calls */
            calls: number;
            /** Failed */
            failed: number;
            /** Model */
            model: string;
            /** Step */
            step: string;
            /** System */
            system: string;
            /** Tokens In */
            tokens_in: number;
            /** Tokens Out */
            tokens_out: number;
            /** Usd */
            usd: number;
        };
        /**
         * Stats
         * @description What a scope holds.
         */
        Stats: {
            /** Attached */
            attached: string[];
            /** Bytes */
            bytes: number;
            /** Embedder */
            embedder: string;
            /** Episodes */
            episodes: number;
            /** Failures */
            failures: number;
            /** Links */
            links: number;
            /** Llm */
            llm: components["schemas"]["Spent"][];
            /** Records */
            records: number;
            /** Scope */
            scope: string;
        } & {
            [key: string]: unknown;
        };
        /**
         * System
         * @description A memory design.
         */
        System: {
            /** Attached */
            attached: boolean;
            /** Cost */
            cost: string;
            /** Family */
            family: string;
            /** Id */
            id: string;
            /** Makes */
            makes: string[];
            /** Needs */
            needs: string[];
            /** Parameters */
            parameters: {
                [key: string]: unknown;
            } | null;
            /** Source */
            source: string;
            /** Summary */
            summary: string;
            /** Title */
            title: string;
            /** Year */
            year: number;
        };
        /**
         * Systems
         * @description All systems; those attached to the tenant keep records of its log.
         */
        Systems: {
            /** Systems */
            systems: components["schemas"]["System"][];
        };
        /**
         * TenantProblem
         * @description A tenant that cannot be read now; its operator finds the reason in the server's log.
         */
        TenantProblem: {
            /** Code */
            code: string;
            /** Tenant */
            tenant: string;
        };
        /**
         * UpdateIn
         * @description A correction.
         */
        UpdateIn: {
            /** Agent Id */
            agent_id?: string | null;
            /** App Id */
            app_id?: string | null;
            /** Metadata */
            metadata?: {
                [key: string]: unknown;
            } | null;
            /**
             * New Id
             * @description of the correction: makes a retry harmless
             */
            new_id?: string | null;
            /** Occurred At */
            occurred_at?: (string | number) | null;
            /** Run Id */
            run_id?: string | null;
            /**
             * Scope
             * @description a path such as acme/alice; its first segment is the tenant
             * @default
             */
            scope?: string;
            /** Text */
            text?: string | null;
            /** User Id */
            user_id?: string | null;
        };
        /**
         * Version
         * @description One text that a memory had.
         */
        Version: {
            episode: components["schemas"]["Episode"];
            /**
             * Event
             * @enum {string}
             */
            event: "ADD" | "UPDATE";
            /** Old Memory */
            old_memory: string | null;
        };
        /**
         * WhyNot
         * @description Why an episode was not recalled.
         */
        WhyNot: {
            episode: components["schemas"]["Episode"] | null;
            /** Folded Into */
            folded_into: string | null;
            /** Found By */
            found_by: string;
            /** Is Recalled */
            is_recalled: boolean;
            /** Lacks */
            lacks: components["schemas"]["Lack"][];
            /** Last Score */
            last_score: number | null;
            /** Limit */
            limit: number;
            /** Obstacles */
            obstacles: components["schemas"]["Obstacle"][];
            /** Query */
            query: string;
            /** Rank */
            rank: number | null;
            /** Says */
            says: string;
            /** Score */
            score: number | null;
            /** Similarity */
            similarity: number;
            /** System */
            system: string;
            /** Wanted */
            wanted: string;
        };
        /**
         * WhyNotIn
         * @description A question why something was not recalled.
         */
        WhyNotIn: {
            /** Agent Id */
            agent_id?: string | null;
            /** App Id */
            app_id?: string | null;
            /**
             * As Of
             * @description only what was recorded by then
             */
            as_of?: (string | number) | null;
            /**
             * Asked At
             * @description what "yesterday" in the query is relative to
             */
            asked_at?: (string | number) | null;
            /** Filters */
            filters?: {
                [key: string]: unknown;
            } | null;
            /**
             * Include Children
             * @default false
             */
            include_children?: boolean;
            /**
             * Limit
             * @default 10
             */
            limit?: number;
            /** Query */
            query: string;
            /** Run Id */
            run_id?: string | null;
            /**
             * Scope
             * @description a path such as acme/alice; its first segment is the tenant
             * @default
             */
            scope?: string;
            /** Session */
            session?: string | null;
            /** Since */
            since?: (string | number) | null;
            /**
             * System
             * @description which system answers; see /v1/systems
             */
            system?: string | null;
            /** Text Or Id */
            text_or_id: string;
            /**
             * Threshold
             * @default 0
             */
            threshold?: number;
            /**
             * Top K
             * @description another name for limit
             */
            top_k?: number | null;
            /** Until */
            until?: (string | number) | null;
            /** User Id */
            user_id?: string | null;
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
    consolidate_v1_consolidate_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ConsolidateIn"];
            };
        };
        responses: {
            /** @description Successful Response */
            202: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
        };
    };
    context_v1_context_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ContextIn"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Context"];
                };
            };
        };
    };
    list__v1_episodes_get: {
        parameters: {
            query?: {
                session?: string | null;
                since?: string | null;
                until?: string | null;
                /** @description JSON, such as {"topic": "tea"} */
                filters?: string | null;
                newest_first?: boolean;
                limit?: number;
                /** @description next_cursor of the page before */
                cursor?: string | null;
                /** @description a path such as acme/alice */
                scope?: string;
                user_id?: string | null;
                agent_id?: string | null;
                run_id?: string | null;
                app_id?: string | null;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EpisodePage"];
                };
            };
        };
    };
    add_v1_episodes_post: {
        parameters: {
            query?: never;
            header?: {
                /** @description makes a retry harmless: ids of what is written follow from it */
                "idempotency-key"?: string | null;
            };
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AddIn"];
            };
        };
        responses: {
            /** @description Successful Response */
            201: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Added"];
                };
            };
        };
    };
    get_v1_episodes__id__get: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
                user_id?: string | null;
                agent_id?: string | null;
                run_id?: string | null;
                app_id?: string | null;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Episode"];
                };
            };
        };
    };
    delete_v1_episodes__id__delete: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
                user_id?: string | null;
                agent_id?: string | null;
                run_id?: string | null;
                app_id?: string | null;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Receipt"];
                };
            };
        };
    };
    update_v1_episodes__id__patch: {
        parameters: {
            query?: never;
            header?: {
                /** @description makes a retry harmless: ids of what is written follow from it */
                "idempotency-key"?: string | null;
                /** @description the ETag of the episode as you read it */
                "if-match"?: string | null;
            };
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["UpdateIn"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Episode"];
                };
            };
        };
    };
    export_v1_export_get: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
                include_children?: boolean;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/x-ndjson": string;
                };
            };
        };
    };
    find_v1_find_get: {
        parameters: {
            query: {
                id: string;
                /** @description a path such as acme/alice */
                scope?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["EpisodeList"];
                };
            };
        };
    };
    forget_v1_forget_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["ForgetIn"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Receipt"];
                };
            };
        };
    };
    history_v1_history_get: {
        parameters: {
            query: {
                id: string;
                /** @description a path such as acme/alice */
                scope?: string;
                user_id?: string | null;
                agent_id?: string | null;
                run_id?: string | null;
                app_id?: string | null;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["History"];
                };
            };
        };
    };
    import__v1_import_post: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
                /** @description told from the content when it is left out */
                format?: string | null;
                /** @description of the file: some formats are told by it, and make their ids from it */
                name?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/octet-stream": string;
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Imported"];
                };
            };
        };
    };
    jobs_v1_jobs_get: {
        parameters: {
            query?: {
                scope?: string | null;
                state?: string | null;
                limit?: number;
                /** @description next_cursor of the page before */
                cursor?: string | null;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["JobPage"];
                };
            };
        };
    };
    job_v1_jobs__id__get: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
        };
    };
    cancel_v1_jobs__id__delete: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
        };
    };
    retry_v1_jobs__id__retry_post: {
        parameters: {
            query?: never;
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Job"];
                };
            };
        };
    };
    links_v1_links_get: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
                /** @description only what this system made */
                system?: string | null;
                include_children?: boolean;
                limit?: number;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["LinkList"];
                };
            };
        };
    };
    me_v1_me_get: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Me"];
                };
            };
        };
    };
    records_v1_records_get: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
                /** @description only what this system made */
                system?: string | null;
                kind?: string | null;
                id?: string[] | null;
                include_retired?: boolean;
                include_children?: boolean;
                limit?: number;
                /** @description next_cursor of the page before */
                cursor?: string | null;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["RecordPage"];
                };
            };
        };
    };
    scopes_v1_scopes_get: {
        parameters: {
            query?: {
                prefix?: string;
                /** @description another name for prefix */
                scope?: string;
                /** @description tenants looked into for one page */
                limit?: number;
                /** @description next_cursor of the page before */
                cursor?: string | null;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["ScopePage"];
                };
            };
        };
    };
    search_v1_search_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["SearchIn"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Recall"];
                };
            };
        };
    };
    sessions_v1_sessions_get: {
        parameters: {
            query?: {
                newest_first?: boolean;
                limit?: number;
                /** @description next_cursor of the page before */
                cursor?: string | null;
                /** @description a path such as acme/alice */
                scope?: string;
                user_id?: string | null;
                agent_id?: string | null;
                run_id?: string | null;
                app_id?: string | null;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["SessionPage"];
                };
            };
        };
    };
    stats_v1_stats_get: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Stats"];
                };
            };
        };
    };
    systems_v1_systems_get: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
            };
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Systems"];
                };
            };
        };
    };
    attach_v1_systems__id__put: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["AttachIn"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Systems"];
                };
            };
        };
    };
    detach_v1_systems__id__delete: {
        parameters: {
            query?: {
                /** @description a path such as acme/alice */
                scope?: string;
            };
            header?: never;
            path: {
                id: string;
            };
            cookie?: never;
        };
        requestBody?: never;
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["Systems"];
                };
            };
        };
    };
    why_not_v1_why_not_post: {
        parameters: {
            query?: never;
            header?: never;
            path?: never;
            cookie?: never;
        };
        requestBody: {
            content: {
                "application/json": components["schemas"]["WhyNotIn"];
            };
        };
        responses: {
            /** @description Successful Response */
            200: {
                headers: {
                    [name: string]: unknown;
                };
                content: {
                    "application/json": components["schemas"]["WhyNot"];
                };
            };
        };
    };
}
