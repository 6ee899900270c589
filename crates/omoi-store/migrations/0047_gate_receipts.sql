-- Gates name the receipts that they looked at. Those that spoke before this was written named none.

alter table phase_gate_results add column receipts @json not null default '[]';
